"""The .deb packages as files: what is in them, what they ask for, and that the same sources give the same bytes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from pathlib import Path

import pytest

from tests.hosts.images import IMAGES
from tests.hosts.roots import held_root
from tests.packaging.products import PAGES, SOURCES, TREE, VERSION, products, scatter_litter

PACKAGES = ("hullmark", "hullmark-agent", "hullmark-master", "hullmark-proxy")
DAEMONS = ("hullmark-agent", "hullmark-master")
MODULES = "usr/share/hullmark/hullmark"
ROOMS = {
    "hullmark-agent": {"agentd", "engine"},
    "hullmark-master": {"masterd", "store"},
}
CONFFILES = {
    "hullmark": set(),
    "hullmark-agent": {
        "/etc/hullmark/agent.yaml",
        "/etc/init.d/hullmark-agent",
        "/etc/logrotate.d/hullmark-agent",
    },
    "hullmark-master": {
        "/etc/hullmark/master.yaml",
        "/etc/init.d/hullmark-master",
        "/etc/logrotate.d/hullmark-master",
    },
    "hullmark-proxy": {
        "/etc/init.d/hullmark-proxy",
        "/etc/logrotate.d/hullmark-proxy",
        "/etc/needrestart/restart.d/hullmark-proxy",
        "/etc/needrestart/restart.d/hullmark-proxy.service",
    },
}
PROGRAMS = {
    "hullmark": {"usr/bin/hullmark", "usr/share/python3/runtime.d/hullmark.rtupdate"},
    "hullmark-agent": {
        "usr/share/hullmark/agentd",
        "etc/init.d/hullmark-agent",
        "usr/share/python3/runtime.d/hullmark-agent.rtupdate",
    },
    "hullmark-master": {
        "usr/share/hullmark/masterd",
        "etc/init.d/hullmark-master",
        "usr/share/python3/runtime.d/hullmark-master.rtupdate",
    },
    "hullmark-proxy": {
        "usr/share/hullmark/proxy",
        "etc/init.d/hullmark-proxy",
        "etc/needrestart/restart.d/hullmark-proxy",
        "etc/needrestart/restart.d/hullmark-proxy.service",
    },
}
PRIVATE = {
    "hullmark-agent": {"etc/hullmark/registries.d/", "var/lib/hullmark/agent/"},
    "hullmark-proxy": {"var/lib/hullmark-proxy/"},
}
FOLDERS = ("etc/", "usr/bin/", "usr/lib/", "usr/share/", "var/lib/hullmark/")
"""Where files of ours are, and nowhere else."""
OTHER_WORLD = (
    *("env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    *("HOME=/nonexistent", "TZ=Asia/Kathmandu", "LC_ALL=C", "DEB_BUILD_OPTIONS=parallel=7"),
    *("SOURCE_DATE_EPOCH=1", "FAKETIME_DONT_FAKE_MONOTONIC=1"),
    *("sh", "-c", 'umask 077; exec faketime -f "+500d" "$@"', "sh"),
)


@dataclass(frozen=True)
class Entry:
    mode: str
    owner: str


def say(*command: object) -> str:
    """What it prints; fails where it does."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@lru_cache
def contents(package: str) -> Mapping[str, Entry]:
    """By path; folders end with a slash."""
    found = {}
    for line in say("dpkg-deb", "--contents", products().deb(package)).splitlines():
        mode, owner, _, _, _, path = line.split(None, 5)
        found[path.partition("./")[2]] = Entry(mode, owner)
    del found[""]
    return found


def control(package: str, field: str) -> str:
    return say("dpkg-deb", "--field", products().deb(package), field).strip()


@pytest.mark.parametrize("package", PACKAGES)
def test_files_are_where_a_package_may_have_them(package: str) -> None:
    files = [path for path in contents(package) if not path.endswith("/")]
    assert files
    assert [path for path in files if not path.startswith(FOLDERS)] == []
    strange = [path for path in contents(package) if re.match("usr/local/|opt/|run/|tmp/", path)]
    assert strange == []
    assert [path for path in files if "__pycache__" in path or path.endswith(".pyc")] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_everything_is_roots_and_nobody_else_may_write(package: str) -> None:
    found = contents(package)
    assert {entry.owner for entry in found.values()} == {"root/root"}
    modes: dict[str, set[str]] = {}
    for path, entry in found.items():
        modes.setdefault(entry.mode, set()).add(path)
    assert modes.pop("drwx------", set()) == PRIVATE.get(package, set())
    assert modes.pop("-rwxr-xr-x") == PROGRAMS[package]
    assert all(path.endswith("/") for path in modes.pop("drwxr-xr-x"))
    assert all(not path.endswith("/") for path in modes.pop("-rw-r--r--"))
    assert modes == {}


def test_each_module_is_in_one_package() -> None:
    """Those of agent and master in theirs; a new room has to be given to one, or this fails."""
    shipped: dict[str, list[str]] = {}
    for package in PACKAGES:
        for path in contents(package):
            if path.startswith(f"{MODULES}/") and not path.endswith("/"):
                shipped.setdefault(path[len(MODULES) + 1 :], []).append(package)
    source = TREE / "agent" / "hullmark"
    expected = {
        str(path.relative_to(source)): [owner(path.relative_to(source))]
        for path in source.rglob("*")
        if path.suffix in (".py", ".j2")
    }
    assert shipped == expected


def owner(module: Path) -> str:
    room = module.parts[0]
    return next((package for package, rooms in ROOMS.items() if room in rooms), "hullmark")


@pytest.mark.parametrize("package", PACKAGES)
def test_what_a_person_may_change_is_a_conffile(package: str) -> None:
    """All below /etc, and nothing else: what a package brings anew each time doesn't belong there."""
    listed = set(conffiles(package))
    assert listed == CONFFILES[package]
    files = {f"/{path}" for path in contents(package) if not path.endswith("/")}
    assert {path for path in files if path.startswith("/etc/")} == listed


def conffiles(package: str) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        say("dpkg-deb", "--control", products().deb(package), folder)
        file = Path(folder, "conffiles")
        return file.read_text().splitlines() if file.exists() else []


@pytest.mark.parametrize("name", ["agent", "master"])
def test_defaults_are_in_usr_too(name: str, tmp_path: Path) -> None:
    """The same file as reference, which an upgrade replaces, and below /etc, which is the shop's."""
    for package in ("hullmark", f"hullmark-{name}"):
        say("dpkg-deb", "--extract", products().deb(package), tmp_path)
    reference = (tmp_path / "usr/share/hullmark/conf" / f"{name}.yaml").read_text()
    mine = (tmp_path / "etc/hullmark" / f"{name}.yaml").read_text()
    assert mine == reference
    values = [line for line in mine.splitlines() if re.match(r"\s*[a-z_]+: ", line)]
    assert values == [], "nothing is set there but by the shop"


@pytest.mark.parametrize("package", PACKAGES)
def test_it_has_its_pages(package: str) -> None:
    files = contents(package)
    pages = {path for path in files if path.startswith("usr/share/man/") and path.endswith(".gz")}
    if package == "hullmark":
        assert "usr/share/man/man1/hullmark.1.gz" in pages
        assert "usr/share/bash-completion/completions/hullmark" in files
        assert "usr/share/zsh/vendor-completions/_hullmark" in files
        assert "usr/share/fish/vendor_completions.d/hullmark.fish" in files
    else:
        names = {f"man8/{package}.8.gz"}
        names |= {f"man5/{package}.yaml.5.gz"} if package in DAEMONS else set()
        assert pages == {f"usr/share/man/{name}" for name in names}
    for page in ("copyright", "changelog.Debian.gz"):
        assert f"usr/share/doc/{package}/{page}" in files


def test_versions_and_parts_belong_together() -> None:
    for package in PACKAGES:
        assert control(package, "Version") == f"{VERSION}-1"
        assert control(package, "Architecture") == "all"
    for package in DAEMONS:
        assert f"hullmark (= {VERSION}-1)" in control(package, "Depends").split(", ")
    engines = "docker.io | docker-ce | moby-engine | podman"
    assert engines in control("hullmark-agent", "Suggests").split(", ")
    assert "docker" not in control("hullmark-agent", "Depends").replace("python3-docker", "")
    # Each can be without the other: the agent where there is no HAProxy, the proxy when the agent goes.
    assert control("hullmark-agent", "Recommends") == "hullmark-proxy"
    assert control("hullmark-proxy", "Depends").split(", ") == ["haproxy (>= 2.4)", "iproute2"]


@pytest.mark.parametrize("release", ["bookworm", "trixie"])
def test_the_release_has_what_it_depends_on(release: str) -> None:
    """In a version that is high enough: what is installed in the roots that hosts boot from."""
    with held_root(IMAGES[release]) as root:
        found = installed(root)
    missing = []
    for package in PACKAGES:
        for field in ("Pre-Depends", "Depends"):
            for clause in filter(None, control(package, field).split(", ")):
                if not any(satisfied(one, found) for one in clause.split(" | ")):
                    missing.append(f"{package}: {clause}")
    assert missing == []


def installed(root: Path) -> Mapping[str, str]:
    """Versions by name; ours are each other's."""
    admin = f"--admindir={root}/var/lib/dpkg"
    listing = say("dpkg-query", admin, "--show", "--showformat=${Package} ${Version}\n")
    found = dict(line.split() for line in listing.splitlines())
    assert not set(found) & set(PACKAGES)
    return {**found, **dict.fromkeys(PACKAGES, f"{VERSION}-1")}


def satisfied(clause: str, found: Mapping[str, str]) -> bool:
    match = re.fullmatch(r"([a-z0-9.+-]+)(?::any)?(?: \((>=|=) (\S+)\))?", clause)
    assert match, f"a clause of another form: {clause}"
    name, relation, version = match.groups()
    if name not in found:
        return False
    if relation is None:
        return True
    compare = ["dpkg", "--compare-versions", found[name], relation, version]
    return subprocess.run(compare).returncode == 0


def test_the_floors_are_those_of_the_project() -> None:
    """What pyproject.toml asks for, the packages ask for."""
    text = (TREE / "pyproject.toml").read_text()
    asked = "".join(re.findall(r"^(?:dependencies|master) = \[\n(.*?)^\]", text, re.M | re.S))
    floors = {name.lower(): floor for name, floor in re.findall(r'"([A-Za-z]+)>=([\d.]+)"', asked)}
    assert {"aiohttp", "click", "docker", "pyyaml"} <= set(floors)
    depends = ", ".join(control(package, "Depends") for package in PACKAGES)
    for name, floor in floors.items():
        debian = {"pyyaml": "yaml"}.get(name, name)
        assert f"python3-{debian} (>= {floor})" in depends.split(", ")


def test_lintian_finds_nothing(tmp_path: Path) -> None:
    """An override has its reason beside it."""
    changes = next(products().folder.glob("deb/*.changes"))
    options = ["--allow-root", "--fail-on", "error,warning", "--display-level", ">=warning"]
    # It leaves some of its temporary files.
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        ["lintian", *options, str(changes)], env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "")
    for file in (TREE / "packaging/deb/debian").glob("*.lintian-overrides"):
        lines = file.read_text().splitlines()
        for before, line in zip(["", *lines], lines):
            assert line.startswith("#") or before.startswith("#"), f"{file}: {line}"


def test_the_same_sources_give_the_same_bytes(tmp_path: Path) -> None:
    """The packages that are tried, and those of a clone in a folder of another name, readable by its owner only and with what lies
    about in a tree that is worked on; on another day, in another time zone and language, with another umask."""
    tried = products().folder / "deb"
    clone = tmp_path / "a folder with a longer name"
    clone_into(clone)
    scatter_litter(clone)
    for path in (clone, *clone.rglob("*")):
        path.chmod(path.stat().st_mode & 0o700)
    done = run_in([*OTHER_WORLD, "packaging/deb/build.sh", "--out", "out"], clone)
    assert done.returncode == 0, done.stdout
    first, second = bytes_of(tried), bytes_of(clone / "out")
    assert len(first) == len(PACKAGES)
    assert first == second
    assert (build_date(clone / "out") - build_date(tried)).days >= 499, "it was another day"


def bytes_of(folder: Path) -> Mapping[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.glob("*.deb")}


def build_date(folder: Path) -> datetime:
    (record,) = folder.glob("*.buildinfo")
    found = re.search(r"^Build-Date: (.*)$", record.read_text(), re.M)
    assert found
    return parsedate_to_datetime(found[1])


def clone_into(folder: Path) -> None:
    for source in (*SOURCES, *PAGES):
        (folder / source).parent.mkdir(parents=True, exist_ok=True)
        if (TREE / source).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(TREE / source, folder / source, ignore=ignored)
        else:
            shutil.copy(TREE / source, folder / source)


def run_in(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
