"""A disk under a real proxy that takes nothing for a while: what is carried goes on, and what was to change comes once there is room."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hullmark.engine import haproxyprocess
from hullmark.errors import ProxyUnavailable, ProxyUnwritten
from hullmark.model.directory import Directory, PublishedEntry, ServiceEntry, ServiceName
from tests.cluster import wait_until
from tests.integration.proxyhosts import Container, Host
from tests.proxy import RANGE

WEB, WEB_AT = ServiceName("shop", "web"), "10.214.0.1"
DIRECTORY = Directory(
    range=RANGE,
    addresses=(WEB_AT,),
    services=(ServiceEntry(WEB, WEB_AT, (80,), networks={"front": ()}),),
)
MORE = replace(DIRECTORY, published=(PublishedEntry(8001, "", WEB, 80),))
"""Which takes a reload."""
FILES = 24


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """One that has room for a few files. Ended even where something has a file of it open still."""
    options = f"nr_inodes={FILES},mode=700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def touch(paths: Iterable[Path]) -> None:
    for path in paths:
        path.touch()


@contextlib.contextmanager
def full(folder: Path) -> Iterator[None]:
    """Not another file can be made there."""
    made = [folder / f"filler{number}" for number in range(FILES)]
    try:
        with pytest.raises(OSError, match="No space left"):
            touch(made)
        yield
    finally:
        for path in made:
            path.unlink(missing_ok=True)


@pytest.fixture
def host() -> Iterator[Host]:
    with Host("small", "a" * 32, "192.0.2.11") as made:
        made.proxy.end()
        with small_disk(made.proxy.run_dir), small_disk(made.proxy.folder):
            made.proxy.start()
            try:
                yield made
            finally:
                made.proxy.end()


@pytest.fixture
def friend(host: Host) -> Container:
    """A caller of a service that is there; a second instance of it is known to nobody yet."""
    host.add_bridge("shop", "front", "br-small", "172.20.0.0/24")
    host.add_container("shop", "web", 1, front="172.20.0.2")
    # Now, as a bridge's own address changes with what is plugged into it.
    host.remove(host.add_container("shop", "web", 2, front="172.20.0.3"))
    caller = host.add_container("shop", "friend", 1, front="172.20.0.9")
    host.apply(DIRECTORY)
    wait_until(lambda: is_reached(caller), "it is reached", 10)
    return caller


def is_reached(caller: Container, by: str = "") -> bool:
    """`by`: the container that is to answer; empty: any."""
    try:
        return by in ("", name_of(caller))
    except (OSError, ValueError):
        return False


def name_of(caller: Container) -> str:
    """Of who answers it. Raises OSError or ValueError where nobody does."""
    return str(caller.get(WEB_AT, 80)["name"])


def test_no_room_for_sockets_ends_nothing(host: Host, friend: Container) -> None:
    before = host.haproxy.look()
    with full(host.proxy.run_dir):
        for _ in range(2):
            with pytest.raises(
                ProxyUnwritten, match=r"could make no sockets in .*: there is room for no more"
            ):
                host.apply(MORE)
        now = host.haproxy.look()
        assert (now.pid, now.worker) == (before.pid, before.worker)
        assert is_reached(friend)
    host.apply(MORE)
    assert host.haproxy.look().worker != before.worker
    assert is_reached(friend)


def test_containers_come_and_go_while_the_disk_takes_no_file(host: Host, friend: Container) -> None:
    """What is new has to wait, and what the proxy has it follows."""
    former, later, _ = host.containers
    before = host.haproxy.look()
    with full(host.proxy.folder):
        host.mark(later)
        host.remove(former)
        with pytest.raises(ProxyUnwritten):
            host.apply(MORE)
        wait_until(lambda: is_reached(friend, "shop/web.2"), "the other one is reached", 10)
        assert host.haproxy.look() == before
    host.apply(MORE)
    assert host.haproxy.look().worker != before.worker
    wait_until(lambda: is_reached(friend), "it is reached", 10)


def test_without_that_look_it_would_end_and_that_is_told(
    host: Host, friend: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(haproxyprocess, "shut", lambda folder, pid: "")
    main = host.proxy.pid
    with full(host.proxy.run_dir), pytest.raises(ProxyUnavailable) as told:
        host.apply(MORE)
    assert not isinstance(told.value, ProxyUnwritten)
    wait_until(lambda: host.proxy.pid not in (0, main) and host.proxy.workers, "it is back", 20)
    host.apply(MORE)
    wait_until(lambda: is_reached(friend), "it is reached", 10)
