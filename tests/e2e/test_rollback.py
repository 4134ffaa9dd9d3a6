"""Nobody puts an audit log back unseen: not root on a host, not root on one of the masters.

Real processes on a pair of masters. Each test keeps an image of files as they were, goes on, puts the image back while the daemon
is down, as a restored disk would, and proves that the image was an earlier one.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hullmark.core.chain import Verifier, against
from hullmark.core.headsfile import Standing, parse
from hullmark.model.audit import FIRST_PREV, Entry, Head
from hullmark.model.auditline import hash_of, line_of, place_of
from tests.chaos.pair import Master, Pair
from tests.cluster import wait_until
from tests.e2e.auditlog import records, whole
from tests.e2e.fleet_apps import apply, web
from tests.fleet import KINDS, Host
from tests.integration.namespaces import enter_private_network

WITHIN_S = 30.0


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    enter_private_network()
    folder = Path(tmp_path_factory.mktemp("rollback"))
    with Pair(folder, {"web1": KINDS["web1"]}) as bed:
        apply(bed, "shop", web(1))
        yield bed


@pytest.fixture
def host(pair: Pair) -> Host:
    return pair.hosts["web1"]


def log_folder(host: Host) -> Path:
    return Path(f"{host.state}-audit")


def name_of(host: Host) -> str:
    return records(log_folder(host))[-1].log


def heads_of(master: Master) -> Standing:
    """What the master's file of heads says, read from its disk; an entry that is being written is left out."""
    standing = Standing()
    for line in whole(master.state / "audit" / "heads.log"):
        assert standing.feed(parse(line.rstrip(b"\n"))) == ""
    return standing


def all_heads(master: Master, log: str) -> list[Head]:
    lines = whole(master.state / "audit" / "heads.log")
    heads = [one.head for line in lines for one in parse(line.rstrip(b"\n")).content.heads]
    return [head for head in heads if head.log == log]


def vouched(master: Master, log: str) -> int:
    """Up to which record."""
    known = heads_of(master).newest.get(log)
    return 0 if known is None else known.seq


def received(master: Master, log: str) -> list[bytes]:
    folder = master.state / "audit" / "received" / log
    return [line for file in sorted(folder.glob("*.log")) for line in whole(file)]


def newest(folder: Path) -> int:
    return records(folder)[-1].seq


def events(pair: Pair, kind: str) -> list[dict[str, Any]]:
    return [one for one in pair.json("events", "--limit", "500")["events"] if one["kind"] == kind]


def problems(pair: Pair, host: str) -> dict[str, str]:
    return {one["code"]: one["message"] for one in pair.host_views()[host]["problems"]}


class Image:
    """Folders as they are now; `put_back` has them so again."""

    def __init__(self, folder: Path, *kept: Path) -> None:
        self._kept = [(each, folder / f"{number}") for number, each in enumerate(kept)]
        for each, copy in self._kept:
            shutil.copytree(each, copy, symlinks=True)

    def put_back(self) -> None:
        for each, copy in self._kept:
            shutil.rmtree(each)
            shutil.copytree(copy, each, symlinks=True)


def change(pair: Pair, host: Host, replicas: int) -> None:
    """Something that is recorded on the host."""
    before = newest(log_folder(host))
    apply(pair, "shop", web(replicas))
    wait_until(lambda: newest(log_folder(host)) > before, "the host recorded it")


def eventually(condition: Callable[[], Any], what: str) -> None:
    wait_until(condition, what, WITHIN_S)


def all_vouched(pair: Pair, folder: Path, log: str) -> bool:
    return all(vouched(master, log) >= newest(folder) for master in pair.masters.values())


def vouch_for(one: Master, other: Master) -> bool:
    """Whether one master has sealed and received all that the other has recorded."""
    log, recorded = f"master:{other.name}", newest(other.folder / "audit")
    return min(vouched(one, log), len(received(one, log))) >= recorded


def test_both_masters_vouch_for_all_logs_within_seconds(pair: Pair, host: Host) -> None:
    change(pair, host, 2)
    began = time.monotonic()
    folder, log = log_folder(host), name_of(host)
    wait_until(lambda: all_vouched(pair, folder, log), "both sealed the host's newest record", 6)
    print(f"sealed by both after {time.monotonic() - began:.1f} s")
    leader = pair.leader()
    eventually(lambda: len(received(leader, log)) >= newest(folder), "the leader has the records")
    assert received(leader, log) == list(whole(folder / "audit.log"))[: len(received(leader, log))]
    m1, m2 = pair.masters.values()
    eventually(lambda: vouch_for(m1, m2) and vouch_for(m2, m1), "each vouches for the other")
    for master in pair.masters.values():
        verifier = Verifier({head.seq for head in all_heads(master, log)})
        for line in whole(folder / "audit.log"):
            assert verifier.feed(line) is None
        assert against(all_heads(master, log), verifier).good
    assert problems(pair, host.name) == {}


def test_nothing_is_sent_while_nothing_is_new(pair: Pair, host: Host) -> None:
    log = name_of(host)
    wait_until(lambda: all_vouched(pair, log_folder(host), log), "all is sealed")
    before = [len(all_heads(master, log)) for master in pair.masters.values()]
    time.sleep(3)
    assert [len(all_heads(master, log)) for master in pair.masters.values()] == before


def test_a_new_leader_is_sent_what_it_lacks(pair: Pair, host: Host) -> None:
    change(pair, host, 1)
    log = name_of(host)
    follower = pair.standby()
    pair.hullmark("master", "step-down")
    wait_until(lambda: pair.leader() is follower, "the other one leads")
    change(pair, host, 2)
    eventually(
        lambda: len(received(follower, log)) >= newest(log_folder(host)),
        "the new leader has all records, also those from before it led",
    )
    assert place_of(received(follower, log)[0]).seq == 1  # type: ignore[union-attr]


def test_a_master_that_was_put_back_is_found_by_host_and_master(
    pair: Pair, host: Host, tmp_path: Path
) -> None:
    back = pair.standby()
    other = pair.leader()
    log = name_of(host)
    wait_until(lambda: all_vouched(pair, log_folder(host), log), "all is sealed")
    back.kill()
    image = Image(tmp_path, back.state, back.folder / "audit")
    back.start()
    change(pair, host, 1)
    wait_until(lambda: all_vouched(pair, log_folder(host), log), "all is sealed")
    wait_until(lambda: vouch_for(other, back), "what it recorded at its start is sealed")
    known = heads_of(back).number
    back.kill()
    image.put_back()
    assert heads_of(back).number < known, "it is an earlier image"
    code, said = verified(pair, back.folder / "audit" / "audit.log", tmp_path / "heads", other)
    assert (code, "its end is missing" in said) == (2, True), "its own log says so"
    back.start()
    change(pair, host, 2)
    eventually(lambda: "audit.master_rolled_back" in problems(pair, host.name), "the host says so")
    assert (
        f"master {back.name} was put back" in problems(pair, host.name)["audit.master_rolled_back"]
    )
    eventually(
        lambda: any(
            one.entry.kind == "audit.master_rolled_back"
            and one.entry.subject == f"master {back.name}"
            for one in records(other.folder / "audit")
        ),
        "the other master recorded it",
    )
    kinds = {
        (one["kind"], one["subject"]) for one in pair.json("events", "--limit", "500")["events"]
    }
    assert ("audit.master_rolled_back", f"master {back.name}") in kinds
    assert any(
        record.entry.kind == "audit.master_rolled_back" for record in records(log_folder(host))
    )
    # A person has looked into it: what was known is removed, and it is vouched for again.
    (host.state / "seals.json").unlink()
    (other.state / "audit" / "seals.json").unlink()
    eventually(lambda: "audit.master_rolled_back" not in problems(pair, host.name), "it goes on")
    eventually(lambda: all_vouched(pair, log_folder(host), log), "both vouch for it again")


def test_a_host_that_was_put_back_is_found_by_both_masters(
    pair: Pair, host: Host, tmp_path: Path
) -> None:
    log, folder = name_of(host), log_folder(host)
    wait_until(lambda: all_vouched(pair, folder, log), "all is sealed")
    host.agent.kill()
    image = Image(tmp_path, host.state, folder)
    host.agent.start()
    change(pair, host, 1)
    change(pair, host, 2)
    wait_until(lambda: all_vouched(pair, folder, log), "all is sealed")
    known = newest(folder)
    host.agent.kill()
    image.put_back()
    assert newest(folder) < known - 2, "it is an earlier image"
    code, said = verified(pair, folder / "audit.log", tmp_path / "heads")
    assert (code, "its end is missing" in said) == (2, True)
    host.agent.start()
    eventually(
        lambda: all(log in heads_of(master).refused for master in pair.masters.values()),
        "both masters refuse it",
    )
    eventually(lambda: "audit.refused" in problems(pair, host.name), "the host says so")
    eventually(lambda: events(pair, "audit.rolled_back"), "it is an event")
    assert {one["subject"] for one in events(pair, "audit.rolled_back")} >= {log}
    accept(pair, log)
    eventually(lambda: all_vouched(pair, folder, log), "after an operator's word it goes on")
    eventually(lambda: problems(pair, host.name) == {}, "and that is no problem any more")


def accept(pair: Pair, log: str) -> None:
    """An operator's word on each master."""
    for master in pair.masters.values():
        (master.state / "audit" / "accept" / log).touch()


def verified(pair: Pair, log: Path, heads: Path, *asked: Master) -> tuple[int, str]:
    """What `audit verify` says of a log with what these masters vouch for; of both where none is named."""
    urls = ",".join(f"unix://{one.socket}" for one in asked or pair.masters.values())
    pair.hullmark("--master", urls, "audit", "heads", "--save", str(heads))
    done = pair.run("audit", "verify", str(log), "--heads", str(heads))
    return done.returncode, done.stdout + done.stderr


def test_a_log_that_was_replaced_is_found(pair: Pair, host: Host, tmp_path: Path) -> None:
    """A good chain of its own, longer than the true one, with the same name."""
    log, folder = name_of(host), log_folder(host)
    wait_until(lambda: all_vouched(pair, folder, log), "all is sealed")
    host.agent.kill()
    count, boot = newest(folder), records(folder)[-1].boot
    (folder / "audit.log").write_bytes(b"".join(made_up(log, boot, count + 40)))
    for kept in [*folder.glob("*.last"), *host.state.glob("*audit*")]:
        kept.unlink()
    verifier = Verifier()
    assert [verifier.feed(line) for line in whole(folder / "audit.log")] == [None] * (count + 40)
    code, said = verified(pair, folder / "audit.log", tmp_path / "heads")
    assert (code, "is another one than masters vouch for" in said) == (2, True)
    leader = pair.leader()
    before = len(events(pair, "audit.rolled_back"))
    host.agent.start()
    eventually(lambda: log in heads_of(leader).refused, "the leader refuses it")
    eventually(lambda: len(events(pair, "audit.rolled_back")) > before, "it is an event")
    verifier = Verifier({head.seq for head in all_heads(pair.standby(), log)})
    for line in whole(folder / "audit.log"):
        verifier.feed(line)
    assert against(all_heads(pair.standby(), log), verifier).contradicted


def made_up(log: str, boot: str, count: int) -> Iterator[bytes]:
    prev = FIRST_PREV
    for seq in range(1, count + 1):
        at = "2026-11-29T05:40:01.000000Z"
        entry = Entry("container.start", "shop/web.1")
        line = line_of(entry, seq=seq, prev=prev, log=log, boot=boot, at=at)
        prev = hash_of(line)
        yield line
