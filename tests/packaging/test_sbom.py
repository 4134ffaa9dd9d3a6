"""What `make sbom` writes: valid by CycloneDX's own schema, complete, and the same from every run."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.packaging.products import TREE, VERSION, Products, products

NAMES = ("hullmark", "hullmark-agent", "hullmark-master", "hullmark-proxy")


def write(out: Path, deb: Path, rpm: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    script = [str(TREE / ".venv/bin/python"), str(TREE / "packaging/sbom.py")]
    places = ["--deb", str(deb), "--rpm", str(rpm), "--out", str(out)]
    return subprocess.run(
        [*script, *places], capture_output=True, text=True, env={**os.environ, **environment}
    )


@pytest.fixture(scope="module")
def made() -> Products:
    return products()


@pytest.fixture(scope="module")
def file(made: Products, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sbom") / "sbom.cdx.json"
    done = write(out, made.folder / "deb", made.folder / "rpm")
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def sbom(file: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(file.read_text())
    return read


def test_it_is_valid_by_the_schema(file: Path) -> None:
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(file.read_text()) is None
    broken = file.read_text().replace('"SHA-256"', '"SHA-0"', 1)
    assert validator.validate_str(broken) is not None


def test_each_package_is_listed_with_its_own_hash(made: Products, sbom: dict[str, Any]) -> None:
    hashes = {
        component["purl"]: component["hashes"][0]["content"]
        for component in sbom["components"]
        if component["purl"].split("/")[1] == "hullmark"
    }
    wanted = {}
    for name in NAMES:
        for kind, files, architecture in (
            ("deb", made.debs, "all"),
            ("rpm", made.rpms, "noarch"),
        ):
            [package] = [one for one in files if re.match(rf"{name}[-_][0-9]", one.name)]
            purl = f"pkg:{kind}/hullmark/{name}@{VERSION}-1?arch={architecture}"
            wanted[purl] = hashlib.sha256(package.read_bytes()).hexdigest()
    assert hashes == wanted


@pytest.mark.parametrize("kind", ["deb", "rpm"])
def test_every_file_is_listed_as_it_is_unpacked(
    made: Products, sbom: dict[str, Any], kind: str, tmp_path: Path
) -> None:
    for component in sbom["components"]:
        if not component["purl"].startswith(f"pkg:{kind}/hullmark/"):
            continue
        root = tmp_path / component["name"]
        root.mkdir()
        unpack(made, kind, component["name"], root)
        listed = {
            each["name"]: each["hashes"][0]["content"]
            for each in component["components"]
            if "description" not in each
        }
        assert listed == {
            f"/{path.relative_to(root)}": hashlib.sha256(path.read_bytes()).hexdigest()
            for path in root.rglob("*")
            if path.is_file() and not path.is_symlink()
        }
        assert any(name.startswith("/usr/share/hullmark/") for name in listed)


def test_scripts_that_run_as_root_are_listed(
    made: Products, sbom: dict[str, Any], tmp_path: Path
) -> None:
    listed = {
        each["bom-ref"].replace(f"@{VERSION}-1?arch=", " "): each["hashes"][0]["content"]
        for component in sbom["components"]
        for each in component.get("components", ())
        if "runs as root" in each.get("description", "")
    }
    wanted = {}
    for name in NAMES:
        folder = tmp_path / name
        subprocess.run(["dpkg-deb", "--control", str(made.deb(name)), str(folder)], check=True)
        for file in folder.iterdir():
            if os.access(file, os.X_OK):
                digest = hashlib.sha256(file.read_bytes()).hexdigest()
                wanted[f"pkg:deb/hullmark/{name} all#{file.name}"] = digest
        package = made.folder / f"rpm/{name}-{VERSION}-1.noarch.rpm"
        query = ["rpm", "-qp", "--nosignature", "--scripts", str(package)]
        said = subprocess.run(query, check=True, capture_output=True, text=True).stdout
        parts = re.split(r"^(\w+) scriptlet \(using /bin/sh\):\n", said, flags=re.M)
        for kind, text in zip(parts[1::2], parts[2::2]):
            tag = "%" + kind.replace("install", "")
            digest = hashlib.sha256(text[:-1].encode()).hexdigest()
            wanted[f"pkg:rpm/hullmark/{name} noarch#{tag}"] = digest
    assert listed == wanted
    assert len({ref.partition("#")[2] for ref in wanted}) >= 8


def unpack(made: Products, kind: str, name: str, root: Path) -> None:
    if kind == "deb":
        subprocess.run(["dpkg-deb", "--extract", str(made.deb(name)), str(root)], check=True)
        return
    package = made.folder / f"rpm/{name}-{VERSION}-1.noarch.rpm"
    unpacked = f"rpm2cpio {package} | cpio --extract --quiet --make-directories --directory {root}"
    subprocess.run(["sh", "-c", unpacked], check=True)


def test_dependencies_have_names_floors_and_licences_of_each_distribution(
    sbom: dict[str, Any],
) -> None:
    by_purl = {component["purl"]: component for component in sbom["components"]}
    for purl in ("pkg:deb/debian/python3-yaml", "pkg:rpm/redhat/python3-pyyaml", "pkg:pypi/pyyaml"):
        assert by_purl[purl]["properties"] == [{"name": "hullmark:at-least", "value": "5.3"}]
        assert by_purl[purl]["licenses"] == [{"license": {"id": "MIT"}}]
        assert by_purl[purl]["scope"] == "required"
    assert by_purl["pkg:pypi/docker"]["type"] == "library"
    assert by_purl["pkg:rpm/redhat/docker"]["type"] == "application"
    # Any one of the engines will do.
    assert by_purl["pkg:deb/debian/docker.io"]["scope"] == "optional"
    assert by_purl["pkg:rpm/redhat/podman"]["scope"] == "optional"
    graph = {each["ref"]: each["dependsOn"] for each in sbom["dependencies"]}
    agent = graph[f"pkg:rpm/hullmark/hullmark-agent@{VERSION}-1?arch=noarch"]
    assert "pkg:rpm/redhat/python3-docker" in agent
    assert f"pkg:rpm/hullmark/hullmark@{VERSION}-1?arch=noarch" in agent
    assert by_purl["pkg:deb/debian/haproxy"]["scope"] == "required"
    proxy = graph[f"pkg:deb/hullmark/hullmark-proxy@{VERSION}-1?arch=all"]
    assert {"pkg:deb/debian/haproxy", "pkg:deb/debian/iproute2"} <= set(proxy)
    # Nothing in the graph that is not described.
    described = {*by_purl, sbom["metadata"]["component"]["bom-ref"]}
    assert {ref for refs in graph.values() for ref in refs} <= described


def test_the_same_packages_give_the_same_bytes(made: Products, file: Path, tmp_path: Path) -> None:
    for kind in ("deb", "rpm"):
        shutil.copytree(made.folder / kind, tmp_path / kind, copy_function=shutil.copyfile)
    again = tmp_path / "again.json"
    done = write(again, tmp_path / "deb", tmp_path / "rpm", TZ="Asia/Tokyo", PYTHONHASHSEED="7")
    assert done.returncode == 0, done.stderr
    assert again.read_bytes() == file.read_bytes()


def test_a_missing_package_is_named(made: Products, tmp_path: Path) -> None:
    shutil.copytree(made.folder / "rpm", tmp_path / "rpm")
    (tmp_path / f"rpm/hullmark-agent-{VERSION}-1.noarch.rpm").unlink()
    done = write(tmp_path / "out.json", made.folder / "deb", tmp_path / "rpm")
    assert done.returncode == 2
    assert "hullmark, hullmark-master, hullmark-proxy, not each of" in done.stderr
    assert "make rpm" in done.stderr
    assert not (tmp_path / "out.json").exists()
