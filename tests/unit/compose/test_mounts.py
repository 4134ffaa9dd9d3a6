from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from hullmark.model.app import FileRef, Mount, MountKind
from tests.unit.compose.apps import build, container, web_problems, web_text, web_warnings

DATA = "volumes: {data: }"
BIND_OPTIONS = "{propagation: shared, create_host_path: false, selinux: z}"
BIND, VOLUME, TMPFS = MountKind.BIND, MountKind.VOLUME, MountKind.TMPFS


@pytest.mark.parametrize(
    ("entry", "mount"),
    [
        ("/srv:/data", Mount(BIND, "/data", "/srv")),
        ("/srv/:/data/", Mount(BIND, "/data", "/srv")),
        ("/srv:/data:ro", Mount(BIND, "/data", "/srv", read_only=True)),
        ("'/srv:/data:rw,z'", Mount(BIND, "/data", "/srv", selinux="z")),
        (
            "'/srv:/data:ro,Z,rslave'",
            Mount(BIND, "/data", "/srv", True, propagation="rslave", selinux="Z"),
        ),
        ("data:/data", Mount(VOLUME, "/data", "data")),
        ("data:/data:nocopy", Mount(VOLUME, "/data", "data", no_copy=True)),
        ("/data", Mount(VOLUME, "/data")),
        ("{type: bind, source: /srv, target: /data}", Mount(BIND, "/data", "/srv")),
        (
            f"{{type: bind, source: /srv, target: /d, read_only: true, bind: {BIND_OPTIONS}}}",
            Mount(BIND, "/d", "/srv", True, "shared", "z", create_host_path=False),
        ),
        ("{type: volume, source: data, target: /d}", Mount(VOLUME, "/d", "data")),
        ("{type: volume, target: /d}", Mount(VOLUME, "/d")),
        (
            "{type: volume, source: data, target: /d, volume: {nocopy: 'true'}}",
            Mount(VOLUME, "/d", "data", no_copy=True),
        ),
        ("{type: tmpfs, target: /t}", Mount(TMPFS, "/t")),
        (
            "{type: tmpfs, target: /t, tmpfs: {size: 64m, mode: 01777}}",
            Mount(TMPFS, "/t", tmpfs_size_bytes=64 << 20, tmpfs_mode=0o1777),
        ),
    ],
)
def test_forms(entry: str, mount: Mount) -> None:
    assert container(f"volumes: [{entry}]", DATA).mounts == (mount,)


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("srv:/data", "the app has no volume srv (allowed: data, or a path)"),
        ("/srv:data", "[SOURCE:]TARGET[:OPTIONS]"),
        ("/srv:/", "[SOURCE:]TARGET[:OPTIONS]"),
        ("'/srv:/a:ro:x'", "[SOURCE:]TARGET[:OPTIONS]"),
        ("':/a'", "[SOURCE:]TARGET[:OPTIONS]"),
        ("/srv:/a/../b", "[SOURCE:]TARGET[:OPTIONS]"),
        ("/srv:/data:rx", "option 'rx' does not fit here (allowed: ro, rw"),
        ("data:/data:rslave", "option 'rslave' does not fit here"),
        ("a b:/data", "neither a path nor the name of a volume"),
        ("5", "5"),
        ("[a]", "a list does not fit here"),
        ("{target: /d}", "needs a type and a target"),
        ("{type: npipe, target: /d}", "(allowed: bind, volume, tmpfs)"),
        ("{type: bind, target: /d}", "a bind needs a source"),
        ("{type: bind, source: '/a:b', target: /d}", "an absolute path without .. and colons"),
        ("{type: bind, source: /a, target: d}", "target: "),
        ("{type: bind, source: /a, target: /d, bind: {propagation: x}}", "rshared"),
        ("{type: bind, source: /a, target: /d, bind: {recursive: disabled}}", "recursive: is not"),
        ("{type: volume, target: /d, bind: {}}", "has no meaning with type volume"),
        ("{type: volume, source: data, target: /d, volume: {subpath: x}}", "subpath: is not"),
        ("{type: tmpfs, source: data, target: /d}", "a tmpfs has no source"),
        ("{type: tmpfs, target: /d, tmpfs: {size: x}}", "such as 64m"),
        ("{type: image, source: x, target: /d}", "(allowed: bind, volume, tmpfs)"),
    ],
)
def test_wrong(entry: str, problem: str) -> None:
    found = web_problems(f"volumes:\n  - /srv:/srv\n  - {entry}", DATA)
    assert found[0].startswith("compose.yaml:6: services.web.volumes[1]")
    assert problem in found[0]


@pytest.mark.parametrize(
    ("lines", "mounts"),
    [
        ("tmpfs: /run", [Mount(TMPFS, "/run")]),
        ("tmpfs: [/run, /tmp]", [Mount(TMPFS, "/run"), Mount(TMPFS, "/tmp")]),
        (
            "tmpfs: ['/run:size=1m,mode=1770,ro,noexec']",
            [Mount(TMPFS, "/run", read_only=True, tmpfs_size_bytes=1 << 20, tmpfs_mode=0o1770)],
        ),
    ],
)
def test_tmpfs(lines: str, mounts: list[Mount]) -> None:
    assert container(lines).mounts == tuple(mounts)


@pytest.mark.parametrize("entry", ["run", "/", "/run:uid=5", "/run:size=x", "/run:mode=9"])
def test_wrong_tmpfs(entry: str) -> None:
    assert web_problems(f"tmpfs: ['{entry}']")[0].startswith("compose.yaml:4: services.web.tmpfs")


def test_harmless_options_are_warned_about() -> None:
    assert "Docker on a Mac" in web_warnings("volumes: ['/a:/b:cached']")[0]
    assert "label their own" in web_warnings("volumes: ['data:/b:z']", DATA)[0]


def test_one_path_is_the_target_once() -> None:
    found = web_problems("volumes: [/a:/x, /b:/x/]\ntmpfs: [/y]")
    assert "/x in the container is the target of two" in found[0]
    assert "/x" in web_problems("volumes: [/a:/x]\ntmpfs: [/x]")[0]


@pytest.fixture(name="shop")
def _shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    (folder / "conf").mkdir(parents=True)
    (folder / "conf" / "nginx.conf").write_text("events {}\n")
    (folder / "start.sh").write_text("#!/bin/sh\n")
    (folder / "start.sh").chmod(0o755)
    (tmp_path / "above.conf").write_text("x")
    return folder


@pytest.mark.parametrize(
    ("entry", "target", "content", "mode"),
    [
        ("./conf/nginx.conf:/etc/nginx.conf:ro", "/etc/nginx.conf", "events {}\n", 0o444),
        ("./start.sh:/start.sh", "/start.sh", "#!/bin/sh\n", 0o555),
        ("~/start.sh:/a", "/a", "#!/bin/sh\n", 0o555),
        ("{type: bind, source: conf/nginx.conf, target: /a}", "/a", "events {}\n", 0o444),
    ],
)
def test_a_relative_file_is_shipped(
    shop: Path, entry: str, target: str, content: str, mode: int
) -> None:
    app, warnings = build(
        web_text(f"volumes:\n  - {entry}"),
        shop,
        {"HOME": str(shop)},
    )
    digest = hashlib.sha256(content.encode()).hexdigest()
    spec = app.services["web"].container
    assert spec.mounts == ()
    assert spec.configs == (FileRef(f"bind.{digest[:32]}", target, mode=mode),)
    assert app.configs[f"bind.{digest[:32]}"].sha256 == digest
    assert warnings[0].startswith("compose.yaml:5: services.web.volumes[0]: ")
    assert f"{len(content)} bytes, sha256 {digest}" in warnings[0]


def test_what_is_no_small_regular_file_is_not_shipped(shop: Path) -> None:
    os.mkfifo(shop / "pipe")
    (shop / "big").write_bytes(b"x" * ((256 << 10) + 1))
    (shop / "edge").write_bytes(b"x" * (256 << 10))
    (shop / "gone").symlink_to("nothing")
    (shop / "out").symlink_to("../above.conf")
    expected = {
        "../above.conf": "leads out of the project's folder",
        "./out": "leads out of the project's folder",
        "./conf": "is a folder",
        "./pipe": "is a named pipe",
        "./big": "is larger than 256 KiB",
        "./missing": "No such file",
        "./gone": "No such file",
        ".": "is a folder",
        "~/x": "HOME is not set",
    }
    for source, why in expected.items():
        found = web_problems(f"volumes: ['{source}:/x']", folder=shop)
        assert why in found[0]
        assert "`configs`" in found[0]
        assert "an absolute path on the hosts" in found[0]
    assert build(web_text("volumes: ['./edge:/x']"), shop)[0].configs
