"""Images through the engine room: what a tag means now, and pulls that go wrong."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from hullmark.engine.docker_api import DockerApiEngine
from hullmark.errors import EngineUnavailable, HullmarkError, ImageUnavailable
from hullmark.model.app import Bundle, ContainerSpec
from tests.cluster import wait_until
from tests.integration.registry import Registry
from tests.integration.relay import Relay
from tests.integration.shipyard import Yard, as_root_only, single

STONE = os.urandom(3 << 20)
"""Does not compress, so that a slow pull is one."""


def wanted(reference: str, digest: str = "") -> Bundle:
    return single("shop", ContainerSpec(reference, digest=digest))


@pytest.fixture
def bare(yard: Yard) -> Iterator[Yard]:
    """An engine without images of any registry."""
    forget(yard)
    yield yard
    forget(yard)


def forget(yard: Yard) -> None:
    client = yard.daemon.client()
    for each in client.images.list():
        if any("127.0.0.1" in name for name in (*each.tags, *each.attrs.get("RepoDigests", ()))):
            client.images.remove(str(each.id), force=True)


def credential(yard: Yard, registry: Registry, host: str, password: str) -> str:
    file = yard.folder / "registries.d/test.yaml"
    as_root_only(file, f"registry: {host}\nusername: {registry.user}\npassword: {password}\n")
    return str(file)


def test_a_tag_is_resolved_and_pulled_by_its_digest(bare: Yard, registry: Registry) -> None:
    first = registry.push("team/app:1", {"Env": ["N=1"]})
    ref = registry.ref("team/app:1")
    found = bare.engine.resolve(ref, "", "missing")
    assert (found.digest, found.local_id) == (first, "")
    second = registry.push("team/app:1", {"Env": ["N=2"]})
    assert bare.engine.resolve(ref, "", "missing").digest == second != first
    pinned = wanted(ref, first)
    assert not bare.engine.has_image(pinned)
    bare.engine.pull(pinned)
    assert bare.engine.has_image(pinned)
    assert not bare.engine.has_image(wanted(ref, second))
    spec = replace(pinned.container, command=("sh", "-c", "echo $N"))
    assert bare.output(bare.run(replace(pinned, container=spec))) == ["1"]


def test_what_an_image_exposes_is_known_before_and_after_it_is_pulled(
    bare: Yard, registry: Registry
) -> None:
    digest = registry.push("team/app:4", {"ExposedPorts": {"8080/tcp": {}, "53/udp": {}}})
    ref = registry.ref("team/app:4")
    by_registry = bare.engine.resolve(ref, "", "missing")
    assert (by_registry.digest, by_registry.exposed) == (digest, ("53/udp", "8080/tcp"))
    bare.engine.pull(wanted(ref, digest))
    assert bare.engine.resolve(ref, "", "missing").exposed == by_registry.exposed
    pinned = f"{registry.host}/team/app@{digest}"
    assert bare.engine.resolve(pinned, "", "missing").exposed == by_registry.exposed


def test_a_tag_is_pulled_where_nothing_is_pinned(bare: Yard, registry: Registry) -> None:
    registry.push("team/app:3")
    bundle = wanted(registry.ref("team/app:3"))
    bare.engine.pull(bundle)
    assert bare.engine.has_image(bundle)
    bare.engine.pull(bundle)


def test_a_reference_with_a_digest_asks_nobody(bare: Yard) -> None:
    digest = "sha256:" + "0" * 64
    found = bare.engine.resolve(f"reg.invalid/team/app@{digest}", "", "missing")
    assert (found.digest, found.note) == (digest, "pinned in the file")


def test_an_image_of_the_host_only(bare: Yard) -> None:
    found = bare.engine.resolve("localhost/hullmark-test:1", "", "missing")
    assert (found.digest, found.note) == ("", "on the host only")
    assert found.local_id
    for policy in ("missing", "never"):
        with pytest.raises(ImageUnavailable, match="is not on this host"):
            bare.engine.resolve("localhost/absent:1", "", policy)
    with pytest.raises(ImageUnavailable, match="localhost/ names are never pulled"):
        bare.engine.pull(wanted("localhost/absent:1"))


def test_the_right_password(bare: Yard, locked_registry: Registry) -> None:
    digest = locked_registry.push("team/locked:1")
    credential(bare, locked_registry, locked_registry.host, locked_registry.password)
    ref = locked_registry.ref("team/locked:1")
    assert bare.engine.resolve(ref, "", "missing").digest == digest
    bare.engine.pull(wanted(ref, digest))
    assert bare.engine.has_image(wanted(ref, digest))


def test_a_wrong_password_and_none(bare: Yard, locked_registry: Registry) -> None:
    digest = locked_registry.push("team/locked:1")
    ref = locked_registry.ref("team/locked:1")
    calls = (
        lambda: bare.engine.resolve(ref, "", "missing"),
        lambda: bare.engine.pull(wanted(ref, digest)),
    )
    for call in calls:
        with pytest.raises(ImageUnavailable, match=f"{locked_registry.host}.*no credential"):
            call()
    file = credential(bare, locked_registry, locked_registry.host, "wrong-password")
    os.utime(file, (time.time() - 40 * 86400,) * 2)
    for call in calls:
        with pytest.raises(ImageUnavailable) as raised:
            call()
        said = f"{raised.value} {raised.value.remedy}"
        for part in (locked_registry.host, "user robot", file, "40 d old"):
            assert part in said
        assert "wrong-password" not in said


def test_credentials_are_read_at_every_pull(bare: Yard, locked_registry: Registry) -> None:
    digest = locked_registry.push("team/locked:1")
    bundle = wanted(locked_registry.ref("team/locked:1"), digest)
    credential(bare, locked_registry, locked_registry.host, "wrong-password")
    with pytest.raises(ImageUnavailable):
        bare.engine.pull(bundle)
    credential(bare, locked_registry, locked_registry.host, locked_registry.password)
    bare.engine.pull(bundle)
    assert bare.engine.has_image(bundle)


def test_a_tag_that_vanished(bare: Yard, registry: Registry) -> None:
    digest = registry.push("team/gone:1", {"Env": ["GONE=1"]})
    ref = registry.ref("team/gone:1")
    registry.push("team/gone:1", {"Env": ["GONE=2"]})
    registry.delete("team/gone:1")
    with pytest.raises(ImageUnavailable, match="it has no team/gone:1"):
        bare.engine.resolve(ref, "", "missing")
    bare.engine.pull(wanted(ref, digest))
    assert bare.engine.has_image(wanted(ref, digest))
    with pytest.raises(ImageUnavailable, match=registry.host):
        bare.engine.pull(wanted(ref))


def test_a_registry_that_is_down(bare: Yard) -> None:
    with Registry() as registry:
        digest = registry.push("team/app:1")
        ref = registry.ref("team/app:1")
        bare.engine.pull(wanted(ref))
        registry.stop()
        found = bare.engine.resolve(ref, "", "missing")
        assert found.digest == digest
        assert "using the host's own copy" in found.note
        assert registry.host in found.note
        absent = registry.ref("team/other:1")
        with pytest.raises(ImageUnavailable, match=f"{registry.host}.*does not answer"):
            bare.engine.resolve(absent, "", "missing")
        with pytest.raises(ImageUnavailable, match=registry.host):
            bare.engine.pull(wanted(absent))


def test_a_registry_that_hangs(
    bare: Yard, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hullmark.engine.registry.TIMEOUT_S", (1, 0.5))
    registry.push("team/app:1")
    with Relay(registry.port) as relay:
        relay.pause()
        with pytest.raises(ImageUnavailable, match=f"{relay.host}.*does not answer.*timed out"):
            bare.engine.resolve(f"{relay.host}/team/app:1", "", "missing")


def impatient(yard: Yard, stall_s: float) -> DockerApiEngine:
    return DockerApiEngine(
        yard.daemon.socket, registries=yard.folder / "registries.d", pull_stall_s=stall_s
    )


def test_a_slow_pull_goes_on_and_tells_how_far_it_is(bare: Yard, registry: Registry) -> None:
    registry.push("team/slow:1", files={"/stone": STONE})
    seen: list[tuple[int, int]] = []
    with Relay(registry.port, bytes_per_s=700_000) as relay:
        bundle = wanted(f"{relay.host}/team/slow:1")
        began = time.monotonic()
        impatient(bare, 3.0).pull(bundle, lambda done, total: seen.append((done, total)))
        assert time.monotonic() - began > 3.0
    assert bare.engine.has_image(bundle)
    assert len(seen) > 1
    assert seen[0] < seen[-1]
    assert all(0 <= done <= total for done, total in seen)


def test_a_pull_that_stalls_is_given_up(bare: Yard, registry: Registry) -> None:
    registry.push("team/slow:1", files={"/stone": STONE})
    with Relay(registry.port) as relay:
        relay.pause()
        began = time.monotonic()
        with pytest.raises(ImageUnavailable, match=f"{relay.host}.*nothing came for 1.5 s"):
            impatient(bare, 1.5).pull(wanted(f"{relay.host}/team/slow:1"))
        assert 1.4 < time.monotonic() - began < 20
    assert bare.engine.listed() == []


def test_a_pull_that_the_engines_death_cuts_is_repeated(bare: Yard, registry: Registry) -> None:
    registry.push("team/slow:1", files={"/stone": STONE})
    errors: list[HullmarkError] = []
    with Relay(registry.port) as relay:
        relay.pause()
        bundle = wanted(f"{relay.host}/team/slow:1")

        def pull() -> None:
            try:
                bare.engine.pull(bundle)
            except HullmarkError as error:
                errors.append(error)

        thread = threading.Thread(target=pull)
        thread.start()
        wait_until(lambda: relay.connections > 0, "the engine asks the registry")
        bare.daemon.kill()
        thread.join(20)
        assert [type(error) for error in errors] == [EngineUnavailable]
        bare.daemon.start()
        relay.resume()
        bare.engine.pull(bundle)
    assert bare.engine.has_image(bundle)
