"""Where the packages of a release come from, for mmdebstrap.

Debian's are on the mirror that this machine's apt uses. Ubuntu's are on archive.ubuntu.com, or where HULLMARK_UBUNTU_MIRROR
says, with their updates: that is what a host has. Debian has no package with Ubuntu's keys, so Ubuntu's own is fetched, and must be the one that is known here.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.integration.namespaces import outside

CHECKOUT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("HULLMARK_CACHE", CHECKOUT / "build")) / "roots"
UBUNTU: Mapping[str, str] = {"jammy": "22.04", "noble": "24.04", "resolute": "26.04"}
UBUNTU_MIRROR = "HULLMARK_UBUNTU_MIRROR"
UBUNTU_DEFAULT = "http://archive.ubuntu.com/ubuntu"
KEYRING_PACKAGE = "pool/main/u/ubuntu-keyring/ubuntu-keyring_2023.11.28.1_all.deb"
KEYRING_SHA256 = "36de43b15853ccae0028e9a767613770c704833f82586f28eb262f0311adb8a8"
"""Of Ubuntu 24.04, as its signed list of packages says."""
KEYRING = "usr/share/keyrings/ubuntu-archive-keyring.gpg"
APT_HELPER = "/usr/lib/apt/apt-helper"


def sources(release: str) -> list[str]:
    """The last arguments of mmdebstrap: a mirror, or lines of a sources.list. Raises SystemExit, naming the mirror, where it doesn't answer."""
    if release not in UBUNTU:
        return [mirror()]
    at, keys = ubuntu_mirror(), ubuntu_keyring()
    return [
        f"deb [signed-by={keys}] {at} {suite} main universe"
        for suite in (release, f"{release}-updates")
    ]


def mirror() -> str:
    """The first Debian archive that apt uses here."""
    wanted = ["$(REPO_URI)", "Created-By: Packages", "Origin: Debian", "Component: main"]
    listing = subprocess.run(
        ["apt-get", "indextargets", "--format", *wanted], check=True, capture_output=True, text=True
    )
    found = [uri for uri in listing.stdout.split() if "security" not in uri]
    if not found:
        raise SystemExit("roots: apt has no Debian archive; run apt-get update")
    return found[0]


def ubuntu_mirror() -> str:
    return os.environ.get(UBUNTU_MIRROR, UBUNTU_DEFAULT).rstrip("/")


def ubuntu_keyring() -> Path:
    """The file of keys, fetched once and kept."""
    keys = CACHE / f"ubuntu-keyring-{KEYRING_SHA256[:12]}.gpg"
    if keys.is_file():
        return keys
    CACHE.mkdir(parents=True, exist_ok=True)
    with keys.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not keys.is_file():
            _fetch_keyring(keys)
    return keys


def _fetch_keyring(keys: Path) -> None:
    """apt's own downloader: it goes by the machine's settings for proxies, and compares the hash."""
    package, folder = keys.with_suffix(".deb"), keys.with_suffix(".draft")
    url = f"{ubuntu_mirror()}/{KEYRING_PACKAGE}"
    for command in (
        [*outside(), APT_HELPER, "download-file", url, str(package), f"SHA256:{KEYRING_SHA256}"],
        ["dpkg-deb", "--extract", str(package), str(folder)],
    ):
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode:
            raise SystemExit(
                f"roots: Ubuntu's keys can't be had from {url}. Another mirror is named by {UBUNTU_MIRROR}:\n"
                f"{done.stdout[-2000:]}"
            )
    shutil.copyfile(folder / KEYRING, keys.with_suffix(".new"))
    keys.with_suffix(".new").rename(keys)
    shutil.rmtree(folder)
    package.unlink()
