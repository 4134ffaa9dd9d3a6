"""What one would try who has a master, containers that are allowed, and patience: each way past a policy that was open once."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hullmark.agentd.policyfolder import PolicyFolder
from hullmark.errors import PolicyRefused
from hullmark.model.app import Bundle, Mount, MountKind, Volume
from tests.integration import image as images
from tests.integration.shipyard import IMAGE, single
from tests.integration.test_policy_engine import (  # noqa: F401
    WEB,
    Host,
    ground,
    host,
    one_engine,
)
from tests.sdk import api_client

SLEEPS = replace(WEB, command=("sleep", "300"))
docker_only = pytest.mark.parametrize("engine", ["docker"], indirect=True)
"""Podman runs in mounts of its own here, and does not see those that a test makes."""
podman_only = pytest.mark.parametrize("engine", ["podman"], indirect=True)


@contextlib.contextmanager
def mounted(at: Path, *words: str) -> Iterator[None]:
    at.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", *words, str(at)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(at)], check=True)


def bind(source: object, *, write: bool) -> Mount:
    return Mount(MountKind.BIND, "/there", str(source), read_only=not write, create_host_path=False)


@podman_only
def test_a_volume_is_not_mounted_by_a_file_that_its_device_names(host: Host) -> None:  # noqa: F811
    """`mount -t nfs --fstab=FILE PLACE` mounts what FILE says: of a config's copy, say, which is a master's own text."""
    host.policy("mounts: {read: [GROUND/data], write: []}\nvolumes: {external: []}\n")
    place = Path(host.open_yard.sdk.info()["DockerRootDir"]) / "volumes/shop_data/_data"
    (host.ground / "fstab").write_text(f"/etc {place} none bind 0 0\n")
    device = {"type": "nfs", "o": "rw", "device": f"--fstab={host.ground}/fstab"}
    spec = replace(WEB, mounts=(Mount(MountKind.VOLUME, "/there", "data"),))
    made = Bundle("shop", "web", spec, volumes={"data": Volume(driver_options=device)})
    container_id = host.open_yard.run(made)
    read = host.open_yard.sh(container_id, "cat /there/hostname")
    assert read == Path("/etc/hostname").read_text().strip(), "what the way would have given"
    host.open_yard.engine.stop(container_id)
    host.open_yard.engine.remove(container_id)
    host.open_yard.engine.remove_volume("shop", "data")
    assert "names the device --fstab=" in host.refused(made)


@podman_only
def test_an_image_of_another_place_is_not_had_by_its_digest(host: Host) -> None:  # noqa: F811
    host.policy("images: {from: [registry.example.com/prod]}\n")
    (known,) = host.open_yard.sdk.images.get(IMAGE).attrs["RepoDigests"]
    digest = known.partition("@")[2]
    spec = replace(SLEEPS, image="registry.example.com/prod/web:1", digest=digest)
    container_id = host.open_yard.create(single("shop", spec))
    assert host.open_yard.inspect(container_id)["Image"], "it finds one that was never there"
    assert f"is on this host as {IMAGE}" in host.refused(single("shop", spec))
    host.policy("images: {from: [registry.example.com/prod, localhost]}\n")
    host.yard.create(single("shop", spec))


@podman_only
def test_an_image_brings_no_annotation_that_steers_the_runtime(host: Host) -> None:  # noqa: F811
    brought = {"run.oci.handler": "krun", "org.example.team": "shop"}
    ref = annotated("localhost/annotated:1", brought, host.open_yard.daemon.socket)
    container_id = host.yard.create(single("shop", replace(WEB, image=ref)))
    with pytest.raises(PolicyRefused, match=r"annotations: run\.oci\.handler steers the engine"):
        host.yard.engine.start(container_id)
    host.policy("annotations: [run.oci.handler]\n")
    host.yard.engine.start(container_id)


def annotated(ref: str, annotations: dict[str, str], socket: str) -> str:
    """An image in OCI's own form, as registries have them."""
    built = images.build({}, {})
    kind = "application/vnd.oci.image"

    def described(content: bytes, media: str) -> dict[str, object]:
        return {
            "mediaType": media,
            "size": len(content),
            "digest": f"sha256:{images.digest(content)}",
        }

    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "config": described(built.configuration, f"{kind}.config.v1+json"),
            "layers": [described(each, f"{kind}.layer.v1.tar") for each in built.layers],
            "annotations": annotations,
        }
    ).encode()
    named = {"org.opencontainers.image.ref.name": ref}
    index = {
        "schemaVersion": 2,
        "manifests": [{**described(manifest, f"{kind}.manifest.v1+json"), "annotations": named}],
    }
    members = {
        f"blobs/sha256/{images.digest(content)}": (content, 0o644)
        for content in (built.configuration, manifest, *built.layers)
    }
    members["oci-layout"] = (b'{"imageLayoutVersion": "1.0.0"}', 0o644)
    members["index.json"] = (json.dumps(index).encode(), 0o644)
    with contextlib.closing(api_client(socket)) as client:
        list(client.load_image(images._tar(members, {})))
        client.inspect_image(ref)
    return ref


@docker_only
def test_what_is_mounted_below_a_read_only_mount_can_be_written(host: Host) -> None:  # noqa: F811
    host.policy("mounts: {read: [GROUND], write: []}\n")
    made = single("shop", replace(SLEEPS, mounts=(bind(host.ground, write=False),)))
    with mounted(host.ground / "disk", "-t", "tmpfs", "tmpfs"):
        container_id = host.open_yard.run(made)
        host.open_yard.sh(container_id, "echo written > /there/disk/file")
        assert (host.ground / "disk/file").read_text() == "written\n", "what the way would give"
        host.open_yard.engine.stop(container_id)
        said = host.refused(made)
        assert f"shows {host.ground}/disk" in said
        assert "for writing" in said
        host.policy("mounts: {read: [GROUND], write: [GROUND/disk]}\n")
        host.yard.create(made)
        host.policy("mounts: {read: [GROUND], write: []}\n")
        subprocess.run(["mount", "-o", "remount,ro", str(host.ground / "disk")], check=True)
        host.yard.create(made)


@one_engine
def test_a_container_that_swaps_a_folder_for_a_link_never_wins(host: Host) -> None:  # noqa: F811
    """All is root's, and so is who runs in the first container: what it may write, others are not led through."""
    host.policy("mounts: {read: [GROUND/data], write: [GROUND/data]}\n")
    (host.ground / "data/sub").mkdir()
    inside = single("shop", replace(SLEEPS, mounts=(bind(host.ground / "data/sub", write=False),)))
    waits = host.yard.create(inside)
    writer = single(
        "shop", replace(SLEEPS, mounts=(bind(host.ground / "data", write=True),)), "other"
    )
    writes = host.yard.run(writer)
    host.open_yard.sh(writes, "mv /there/sub /there/kept && ln -s /etc /there/sub")
    assert (host.ground / "data/sub").is_symlink(), "it may do that"
    host.open_yard.sh(writes, "rm /there/sub && mv /there/kept /there/sub")
    with pytest.raises(PolicyRefused, match=rf"{host.ground}/data \(container .* writes there\)"):
        host.yard.engine.start(waits)
    assert "writes there" in host.refused(inside)
    host.yard.run(
        single("shop", replace(SLEEPS, mounts=(bind(host.ground / "data", write=False),)))
    )
    host.yard.engine.stop(writes)
    host.yard.engine.start(waits)


@one_engine
def test_a_namespace_of_the_hosts_is_not_had_of_a_container_that_has_it(host: Host) -> None:  # noqa: F811
    host.policy("host_namespaces: []\napps: {monitor: {host_namespaces: [pid, network]}}\n")
    watcher = host.yard.run(
        single("monitor", replace(SLEEPS, pid="host", network_mode="host"), "node")
    )
    name = host.yard.inspect(watcher)["Name"].lstrip("/")
    for asked in ({"pid": f"container:{name}"}, {"network_mode": f"container:{watcher[:12]}"}):
        said = host.refused(single("shop", replace(SLEEPS, **asked)))  # type: ignore[arg-type]
        assert "host_namespaces: " in said
    between = host.yard.run(single("shop", SLEEPS))
    host.yard.run(single("shop", replace(SLEEPS, pid=f"container:{between}")))


@one_engine
def test_a_policy_that_is_just_being_written_opens_nothing(host: Host) -> None:  # noqa: F811
    """Between its parts, and between an old file's end and a new one's begin, fewer rules stand there."""
    host.policing.folder = PolicyFolder(str(host.policies), host.problems)
    host.policy("privileged: false\nhost_namespaces: []\n")
    made = single("shop", replace(WEB, privileged=True))
    assert "privileged: " in host.refused(made)
    file = host.policies / "10-test.yaml"
    for half in ("", "host_namespaces: []\n", "# privileged: fal"):
        file.write_text(half)
        host.refused(made)
    file.unlink()
    host.refused(made)
