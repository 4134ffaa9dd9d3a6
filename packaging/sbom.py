#!/usr/bin/python3
"""List what is in the packages and what they depend on, as a CycloneDX document (a software bill of materials).

python3 packaging/sbom.py [--deb DIR] [--rpm DIR] [--out FILE]

It reads the packages that were built, not the sources: each package of both kinds with every file and every script that
runs as root when it is installed or removed, each with its SHA-256, its dependencies with the names and least versions that
it declares, and the libraries by their names on PyPI, as pyproject.toml has them for a checkout. The same packages give
the same bytes: the document's time is theirs, or SOURCE_DATE_EPOCH, and its serial number is made from its content.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TREE = Path(__file__).resolve().parent.parent
NAMES = ("hullmark", "hullmark-agent", "hullmark-master", "hullmark-proxy")
URL = "https://github.com/hullmark/hullmark"
LICENCE = "Apache-2.0"

# The libraries by their names on PyPI: Debian's name, the RHEL family's, and the licence (SPDX).
LIBRARIES = {
    "aiohttp": ("python3-aiohttp", "python3-aiohttp", "Apache-2.0"),
    "click": ("python3-click", "python3-click", "BSD-3-Clause"),
    "cryptography": ("python3-cryptography", "python3-cryptography", "Apache-2.0 OR BSD-3-Clause"),
    "docker": ("python3-docker", "python3-docker", "Apache-2.0"),
    "Jinja2": ("python3-jinja2", "python3-jinja2", "BSD-3-Clause"),
    "psutil": ("python3-psutil", "python3-psutil", "BSD-3-Clause"),
    "pyasyncore": ("python3-pyasyncore", "", "Python-2.0.1"),
    "pyinotify": ("python3-pyinotify", "python3-inotify", "MIT"),
    "PyYAML": ("python3-yaml", "python3-pyyaml", "MIT"),
    "requests": ("python3-requests", "python3-requests", "Apache-2.0"),
    "rich": ("python3-rich", "python3-rich", "MIT"),
}
# What the packages depend on beside them, whatever the distribution.
OTHERS = {
    "adduser": "GPL-2.0-or-later",
    "docker": "Apache-2.0",
    "docker-ce": "Apache-2.0",
    "docker.io": "Apache-2.0",
    "haproxy": "GPL-2.0-or-later",
    "init-system-helpers": "BSD-3-Clause AND GPL-2.0-or-later",
    "iproute": "GPL-2.0-or-later",
    "iproute2": "GPL-2.0-or-later",
    "moby-engine": "Apache-2.0",
    "podman": "Apache-2.0",
    "python3": "Python-2.0.1",
    "shadow-utils": "BSD-3-Clause AND GPL-2.0-or-later",
    "systemd": "LGPL-2.1-or-later",
}
# What dpkg and rpm run as root: of a .deb the files in its control part, of an .rpm by the tags that have them.
DEB_SCRIPTS = ("preinst", "postinst", "prerm", "postrm", "config")
RPM_SCRIPTS = {
    "%pretrans": "PRETRANS",
    "%pre": "PREIN",
    "%post": "POSTIN",
    "%preun": "PREUN",
    "%postun": "POSTUN",
    "%posttrans": "POSTTRANS",
}
SCRIPT = "A script in the package that runs as root when it is installed, upgraded or removed"
VENDORS = {"deb": "debian", "rpm": "redhat"}


class Unusable(Exception):
    """What is there can't be listed; the message says what to do."""


@dataclass(frozen=True, order=True)
class Dependency:
    """`kind` is deb, rpm or pypi. `floor` may be empty. `needed`: not one of several, nor only recommended."""

    kind: str
    name: str
    floor: str
    needed: bool

    @property
    def purl(self) -> str:
        if self.kind == "pypi":
            return f"pkg:pypi/{self.name.lower()}"
        vendor = "docker" if self.name == "docker-ce" else VENDORS[self.kind]
        return f"pkg:{self.kind}/{vendor}/{self.name}"

    @property
    def licence(self) -> str:
        for pypi, (deb, rpm, licence) in LIBRARIES.items():
            if self.name == {"pypi": pypi, "deb": deb, "rpm": rpm}[self.kind]:
                return licence
        try:
            return OTHERS[self.name]
        except KeyError:
            raise Unusable(
                f"the licence of {self.name} ({self.kind}) is not known: add it to {Path(__file__).name}"
            ) from None


@dataclass(frozen=True)
class Package:
    """`files` and `scripts`: SHA-256 by path and by name. `seal`: what a signature leaves as it is; empty where a package has no signature in it."""

    kind: str
    name: str
    version: str
    sha256: str
    seal: str
    time_s: int
    files: tuple[tuple[str, str], ...]
    scripts: tuple[tuple[str, str], ...]
    dependencies: tuple[Dependency, ...]

    @property
    def purl(self) -> str:
        architecture = {"deb": "all", "rpm": "noarch"}[self.kind]
        return f"pkg:{self.kind}/hullmark/{self.name}@{self.version}?arch={architecture}"


def run(*command: object) -> bytes:
    done = subprocess.run(
        [str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True
    )
    if done.returncode:
        raise Unusable(f"{command[0]}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def read_deb(file: Path) -> Package:
    def field(name: str) -> str:
        return run("dpkg-deb", "--field", file, name).decode().strip()

    files, newest = unpacked(run("dpkg-deb", "--fsys-tarfile", file))
    control, _ = unpacked(run("dpkg-deb", "--ctrl-tarfile", file))
    wanted = [(field(name), True) for name in ("Pre-Depends", "Depends")]
    wanted += [(field(name), False) for name in ("Recommends", "Suggests")]
    found = {one for text, needed in wanted for one in deb_dependencies(text, needed)}
    dependencies = {one for one in found if one.needed or one.name not in NAMES}
    return Package(
        "deb",
        field("Package"),
        field("Version"),
        hashlib.sha256(file.read_bytes()).hexdigest(),
        "",
        newest,
        tuple(sorted(files.items())),
        tuple((name, control[f"/{name}"]) for name in DEB_SCRIPTS if f"/{name}" in control),
        tuple(sorted(dependencies)),
    )


def unpacked(archive: bytes) -> tuple[dict[str, str], int]:
    """SHA-256 of each file by its path, and the newest time."""
    files, newest = {}, 0
    with tarfile.open(fileobj=io.BytesIO(archive)) as members:
        for member in members:
            newest = max(newest, int(member.mtime))
            content = members.extractfile(member) if member.isfile() else None
            if content is not None:
                digest = hashlib.sha256(content.read()).hexdigest()
                files[member.name.lstrip(".")] = digest
    return files, newest


def deb_dependencies(text: str, needed: bool) -> Iterator[Dependency]:
    """`python3:any (>= 3.9~), docker.io | podman`; see deb-control(5), and deb-substvars(5) for the tilde."""
    for clause in filter(None, re.split(r",\s*", text)):
        choices = clause.split("|")
        for choice in choices:
            found = re.fullmatch(
                r"\s*([a-z0-9.+-]+)(?::any)?(?:\s*\((>=|=)\s*([^)]+)\))?\s*", choice
            )
            if found is None:
                raise Unusable(f"this dependency is not understood: {choice}")
            floor = (found[3] or "").rstrip("~")
            yield Dependency("deb", found[1], floor, needed and len(choices) == 1)


def read_rpm(file: Path) -> Package:
    def text_of(form: str) -> bytes:
        # A signature that is there needs a key that is not.
        return run("rpm", "-qp", "--nosignature", "--qf", form, file)

    def query(form: str) -> list[str]:
        return text_of(form).decode().splitlines()

    name, version, seal, built = query(
        "%{NAME}\n%{VERSION}-%{RELEASE}\n%{SHA256HEADER}\n%{BUILDTIME}\n"
    )
    listing = (line.split("\t") for line in query("[%{FILENAMES}\t%{FILEDIGESTS}\n]"))
    scripts = ((name, text_of(f"%|{tag}?{{%{{{tag}}}}}|")) for name, tag in RPM_SCRIPTS.items())
    requirements = rpm_dependencies(query("[%{REQUIRENAME}\t%{REQUIREVERSION}\n]"), needed=True)
    weak = "[%{RECOMMENDNAME}\t%{RECOMMENDVERSION}\n][%{SUGGESTNAME}\t%{SUGGESTVERSION}\n]"
    found = {*requirements, *rpm_dependencies(query(weak), needed=False)}
    dependencies = {one for one in found if one.needed or one.name not in NAMES}
    return Package(
        "rpm",
        name,
        version,
        hashlib.sha256(file.read_bytes()).hexdigest(),
        seal,
        int(built),
        tuple(sorted((path, digest) for path, digest in listing if digest)),
        tuple((name, hashlib.sha256(text).hexdigest()) for name, text in scripts if text),
        tuple(sorted(dependencies)),
    )


def rpm_dependencies(lines: Iterable[str], *, needed: bool) -> Iterator[Dependency]:
    """Without what rpm asks of itself, and files, which belong to packages that are named as well."""
    for line in lines:
        name, _, floor = line.partition("\t")
        if not name or name == "(none)":
            continue
        if name.startswith("("):
            for choice in name.strip("()").split(" or "):
                yield Dependency("rpm", choice, "", False)
        elif not name.startswith(("/", "rpmlib(", "config(")):
            yield Dependency("rpm", name, floor, needed)


def pypi_dependencies(pyproject: str) -> list[Dependency]:
    """The tables `dependencies` and `master`. No TOML reader: Python 3.9 has none."""
    tables = re.findall(r"^(?:dependencies|master) = \[\n(.*?)^\]", pyproject, re.M | re.S)
    found = re.findall(r'"([A-Za-z0-9_.-]+)>=([0-9.]+)(?:;[^"]*)?"', "".join(tables))
    return sorted(Dependency("pypi", name, floor, True) for name, floor in found)


def floor_order(dependency: Dependency) -> list[int]:
    return [int(part) for part in re.findall(r"[0-9]+", dependency.floor)]


def licences(expression: str) -> list[dict[str, Any]]:
    if " " in expression:
        return [{"expression": expression}]
    return [{"license": {"id": expression}}]


def file_component(package: Package, name: str, digest: str) -> dict[str, Any]:
    return {
        "type": "file",
        "bom-ref": f"{package.purl}#{name}",
        "name": name,
        "hashes": [{"alg": "SHA-256", "content": digest}],
    }


def package_component(package: Package) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": "application",
        "bom-ref": package.purl,
        "name": package.name,
        "version": package.version,
        "purl": package.purl,
        "licenses": licences(LICENCE),
        "hashes": [{"alg": "SHA-256", "content": package.sha256}],
        "components": [
            *(file_component(package, path, digest) for path, digest in package.files),
            *(
                {**file_component(package, name, digest), "description": SCRIPT}
                for name, digest in package.scripts
            ),
        ],
    }
    if package.seal:
        # Signing an .rpm changes the file, and not this.
        component["properties"] = [{"name": "hullmark:rpm-header-sha256", "value": package.seal}]
    return component


def dependency_component(dependency: Dependency, needed: bool) -> dict[str, Any]:
    program = dependency.kind != "pypi" and dependency.name in OTHERS
    component: dict[str, Any] = {
        "type": "application" if program else "library",
        "bom-ref": dependency.purl,
        "name": dependency.name,
        "purl": dependency.purl,
        "scope": "required" if needed else "optional",
        "licenses": licences(dependency.licence),
    }
    if dependency.floor:
        component["properties"] = [{"name": "hullmark:at-least", "value": dependency.floor}]
    return component


def document(packages: list[Package], libraries: list[Dependency], time_s: int) -> dict[str, Any]:
    """As bom-1.6.schema.json of CycloneDX has it."""
    version = packages[0].version.split("-")[0]
    whole = f"pkg:generic/hullmark@{version}"
    own = {(package.kind, package.name): package.purl for package in packages}
    graph = {whole: sorted([*own.values(), *(library.purl for library in libraries)])}
    found: dict[str, list[Dependency]] = {}
    for dependency in libraries:
        found.setdefault(dependency.purl, []).append(dependency)
    for package in packages:
        wanted = set()
        for dependency in package.dependencies:
            purl = own.get((dependency.kind, dependency.name), dependency.purl)
            wanted.add(purl)
            if purl == dependency.purl:
                found.setdefault(purl, []).append(dependency)
        graph[package.purl] = sorted(wanted)
    others = [
        dependency_component(max(ones, key=floor_order), any(one.needed for one in ones))
        for _, ones in sorted(found.items())
    ]
    bom: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time_s)),
            "component": {
                "type": "application",
                "bom-ref": whole,
                "name": "hullmark",
                "version": version,
                "purl": whole,
                "licenses": licences(LICENCE),
                "externalReferences": [{"type": "vcs", "url": URL}],
            },
        },
        "components": [*(package_component(package) for package in packages), *others],
        "dependencies": [
            {"ref": ref, "dependsOn": depends_on} for ref, depends_on in sorted(graph.items())
        ],
    }
    content = json.dumps(bom, sort_keys=True)
    return {**bom, "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, URL + content)}"}


def found_packages(deb: Path, rpm: Path) -> list[Package]:
    """All eight, of one version."""
    packages = [read_deb(file) for file in sorted(deb.glob("hullmark*.deb"))]
    packages += [read_rpm(file) for file in sorted(rpm.glob("hullmark*.rpm"))]
    for kind, folder in (("deb", deb), ("rpm", rpm)):
        names = sorted(package.name for package in packages if package.kind == kind)
        if names != sorted(NAMES):
            raise Unusable(
                f"{folder} has {', '.join(names) or 'no package'}, not each of {', '.join(NAMES)} once: make {kind}"
            )
    versions = {package.version for package in packages}
    if len(versions) != 1:
        raise Unusable(f"the packages have different versions: {', '.join(sorted(versions))}")
    return packages


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for kind in ("deb", "rpm"):
        parser.add_argument(f"--{kind}", metavar="DIR", type=Path, default=TREE / "build" / kind)
    parser.add_argument("--out", metavar="FILE", type=Path, default=TREE / "build/sbom.cdx.json")
    given = parser.parse_args()
    try:
        packages = found_packages(given.deb, given.rpm)
        libraries = pypi_dependencies((TREE / "pyproject.toml").read_text(encoding="utf-8"))
        newest = max(package.time_s for package in packages)
        bom = document(packages, libraries, int(os.environ.get("SOURCE_DATE_EPOCH", newest)))
    except Unusable as error:
        print(f"sbom: {error}", file=sys.stderr)
        return 2
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(bom, indent=1) + "\n", encoding="utf-8")
    print(given.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
