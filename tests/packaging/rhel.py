"""The RHEL family as far as it can be had here: Debian systems with rpm and dnf in them, whose rpm database knows
packages that stand in for Red Hat's and EPEL's, with their true names and versions and without content.

What is real: rpm and dnf, the signed repository, scriptlets, systemd as PID 1, and Python with its libraries, of about the
age of the family's. Debian 11 has RHEL 9's Python 3.9 and rpm 4.16; Debian 13 has RHEL 10's systemd 257, and an rpm
and a Python one release newer. What stands in: every other package's content; there is neither SELinux nor FIPS mode.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from tests.hosts import CommandFailed, Host
from tests.hosts.images import SETTLE, SYSTEMD, Image
from tests.hosts.roots import held_root

PACKAGES = ("hullmark", "hullmark-agent", "hullmark-master")
PROXY = "hullmark-proxy"
"""Recommended by the agent: it comes along where there is an HAProxy that is new enough."""
ENGINES = ("podman", "docker-ce", "moby-engine", "docker")
LIBRARIES = (
    *("aiohttp", "click", "cryptography", "docker", "jinja2", "psutil", "requests", "rich", "yaml"),
)
INSIDE = (
    *SYSTEMD,
    *("ca-certificates", "dnf", "iproute2", "passwd", "procps", "python3", "rpm"),
    *(f"python3-{library}" for library in LIBRARIES),
)
# Debian's rpm would keep its database in root's home. RHEL's HAProxy is not started by its installation.
RPM = (
    SETTLE
    + r"""
[ ! -e "$1"/lib/systemd/system/haproxy.service ] || chroot "$1" systemctl --quiet disable haproxy.service
mkdir -p "$1"/etc/rpm "$1"/etc/yum.repos.d "$1"/etc/pki/rpm-gpg
echo '%_dbpath /var/lib/rpm' >"$1"/etc/rpm/macros
"""
)
REPOSITORY = "/srv/hullmark"
STAND_INS = "/srv/stand-ins"
# Of RHEL itself, and with no key: it is what is there before.
STAND_INS_REPO = f"""\
[stand-ins]
name=What Red Hat and EPEL have
baseurl=file://{STAND_INS}
gpgcheck=0
"""
PROVIDES = {"bash": ("/bin/sh",), "python3": ("/usr/bin/python3",)}


@dataclass(frozen=True)
class Family:
    """`packages`: what the distribution and EPEL have, by name, of what ours require and the family's base has."""

    name: str
    image: Image
    packages: Mapping[str, str]


FAMILIES = {
    family.name: family
    for family in (
        Family(
            "el9",
            Image("bullseye-rpm", "bullseye", INSIDE, RPM),
            {
                "bash": "5.1.8",
                "systemd": "252",
                "shadow-utils": "4.9",
                "iproute": "5.18.0",
                "haproxy": "2.4.22",
                "python3": "3.9.21",
                "python3-cryptography": "36.0.1",
                "python3-jinja2": "2.11.3",
                "python3-psutil": "5.8.0",
                "python3-pyyaml": "5.4.1",
                "python3-requests": "2.25.1",
                "python3-click": "7.1.2",
                "python3-rich": "9.11.0",
                "python3-docker": "5.0.0",
                "python3-aiohttp": "3.7.4",
                **dict.fromkeys(ENGINES, "5.4.0"),
            },
        ),
        Family(
            "el10",
            Image("trixie-rpm", "trixie", (*INSIDE, "haproxy"), RPM),
            {
                "bash": "5.2.26",
                "systemd": "257",
                "shadow-utils": "4.15.0",
                "iproute": "6.2.0",
                "haproxy": "3.0.5",
                "python3": "3.12.9",
                "python3-cryptography": "43.0.0",
                "python3-jinja2": "3.1.6",
                "python3-psutil": "5.9.8",
                "python3-pyyaml": "6.0.1",
                "python3-requests": "2.32.3",
                "python3-click": "8.1.7",
                "python3-rich": "13.7.1",
                "python3-docker": "7.1.0",
                "python3-aiohttp": "3.9.5",
                **dict.fromkeys(ENGINES, "5.4.0"),
            },
        ),
    )
}


def build_stand_ins(packages: Mapping[str, str], folder: Path) -> Path:
    """A yum repository of empty packages with these names and versions."""
    lines = ["Name: stand-ins", "Version: 1", "Release: 1", "Summary: Stand-ins", "License: none"]
    lines += ["BuildArch: noarch", "%description", "Empty packages."]
    for name, version in packages.items():
        lines += [f"%package -n {name}", f"Version: {version}", f"Summary: Instead of {name}"]
        lines += [f"Provides: {path}" for path in PROVIDES.get(name, ())]
        lines += [f"%description -n {name}", "Empty.", f"%files -n {name}"]
    folder.mkdir(parents=True)
    spec = folder / "stand-ins.spec"
    spec.write_text("\n".join([*lines, ""]))
    build = ["rpmbuild", "-bb", "--quiet", "--define", f"_topdir {folder}", str(spec)]
    subprocess.run(build, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    repository = folder / "RPMS" / "noarch"
    subprocess.run(["createrepo_c", "--quiet", str(repository)], check=True)
    return repository


def prepare(host: Host, family: Family, folder: Path) -> None:
    """The distribution's own repository, from which requirements are met."""
    host.put(build_stand_ins(family.packages, folder), STAND_INS)
    host.write("/etc/yum.repos.d/stand-ins.repo", STAND_INS_REPO)


def use_repository(host: Host, repository: Path) -> None:
    """Ours, as its own files tell a user to set it up; it lies on the host, as a mirror might."""
    shutil.rmtree(host.path(REPOSITORY), ignore_errors=True)
    host.put(repository / "yum", f"{REPOSITORY}/yum")
    host.put(repository / "yum/RPM-GPG-KEY-hullmark", "/etc/pki/rpm-gpg/RPM-GPG-KEY-hullmark")
    text = (repository / "yum/hullmark.repo").read_text()
    here = re.sub(r"baseurl=.*/yum", f"baseurl=file://{REPOSITORY}/yum", text)
    host.write("/etc/yum.repos.d/hullmark.repo", here)
    host.run(["dnf", "-q", "clean", "all"])


def dnf(host: Host, *arguments: str) -> str:
    """What it printed. Raises CommandFailed."""
    done = host.run(["dnf", "-y", *arguments], timeout_s=240.0)
    return done.stdout + done.stderr


def refused(host: Host, *arguments: str) -> str:
    """What dnf printed when it refused."""
    try:
        printed = dnf(host, *arguments)
    except CommandFailed as failure:
        return str(failure)
    raise AssertionError(f"dnf {' '.join(arguments)} was not refused:\n{printed}")


def installed_version(host: Host, package: str) -> Optional[str]:
    done = host.run(["rpm", "-q", "--qf", "%{VERSION}", package], check=False)
    return done.stdout if done.returncode == 0 else None


if __name__ == "__main__":
    for each in FAMILIES.values():
        with held_root(each.image):
            print(f"hosts: {each.image.name} is there")
