"""What the tests of this folder install: packages of this tree, the same of a higher version, and signed repositories.

Made once for each state of the sources, in build/products: whoever comes first makes them, and others wait for the lock.
A key is made for them at the same time; it signs nothing else.

    python -m tests.packaging.products        make them, and say where they are
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import hullmark

TREE = Path(__file__).parent.parent.parent
FOLDER = TREE / "build" / "products"
SOURCES = (
    *("agent/hullmark", "conf", "docs"),
    *("packaging/completion", "packaging/deb", "packaging/files", "packaging/man", "packaging/rpm"),
    "packaging/ansible/roles/hullmark_etcd/files",
    *("packaging/commandtree.py", "packaging/repo.sh", "packaging/sources.sh"),
)
PAGES = ("README.md", "CHANGELOG.md", "SECURITY.md", "LICENSE")
LITTER = (
    *("agent/hullmark/core/.env", "agent/hullmark/core/.#text.py", "agent/hullmark/core/notes.txt"),
    *("agent/hullmark/cli/main.py.orig", "agent/hullmark/__pycache__/main.cpython-39.pyc"),
    *("docs/private-notes.txt", "docs/.draft.md", "conf/examples/note~", "conf/agent.yaml.bak"),
)
"""What may lie about in a tree that is worked on, and is in no package."""
VERSION = hullmark.__version__
NEXT_VERSION = ".".join([*VERSION.split(".")[:-1], str(int(VERSION.split(".")[-1]) + 1)])
KEPT = 2
KEPT_S = 2 * 3600
"""Products are kept while they are among the newest, or were asked for a short time ago: a run may still use them."""
TIMEOUT_S = 300


@dataclass(frozen=True)
class Products:
    """`next_repo` has both versions, so that a host can go back. `key` is the public one, for apt's Signed-By and for rpm."""

    folder: Path

    @property
    def debs(self) -> tuple[Path, ...]:
        return self._files("deb", "*.deb")

    @property
    def next_debs(self) -> tuple[Path, ...]:
        return self._files("next/deb", "*.deb")

    @property
    def rpms(self) -> tuple[Path, ...]:
        return self._files("rpm", "*.rpm")

    @property
    def next_rpms(self) -> tuple[Path, ...]:
        return self._files("next/rpm", "*.rpm")

    @property
    def repo(self) -> Path:
        return self.folder / "repo"

    @property
    def next_repo(self) -> Path:
        return self.folder / "next" / "repo"

    @property
    def key(self) -> Path:
        return self.folder / "key.asc"

    def deb(self, package: str) -> Path:
        return next(file for file in self.debs if file.name.startswith(f"{package}_"))

    def next_deb(self, package: str) -> Path:
        return next(file for file in self.next_debs if file.name.startswith(f"{package}_"))

    def _files(self, folder: str, pattern: str) -> tuple[Path, ...]:
        return tuple(sorted((self.folder / folder).glob(pattern)))


@lru_cache(maxsize=1)
def products() -> Products:
    """Of the sources as they are at the first call of this process."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with _lock(FOLDER / "lock"):
        made = Products(FOLDER / _hash())
        if not made.folder.is_dir():
            unfinished = Path(tempfile.mkdtemp(prefix="unfinished.", dir=FOLDER))
            try:
                _make(unfinished)
                unfinished.chmod(0o755)
                unfinished.rename(made.folder)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
        os.utime(made.folder)
        _forget_old()
    return made


def scatter_litter(tree: Path) -> None:
    for name in LITTER:
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).write_text("mine")


def _make(folder: Path) -> None:
    own, following = folder, folder / "next"
    builds = [
        [TREE / "packaging" / kind / "build.sh", "--version", version, "--out", out / kind]
        for kind in ("deb", "rpm")
        for version, out in ((VERSION, own), (NEXT_VERSION, following))
    ]
    with ThreadPoolExecutor(len(builds) + 1) as threads:
        running = [threads.submit(_run, *build) for build in builds]
        secret = threads.submit(_make_key, folder).result()
        for each in running:
            each.result()
    _sign(secret, own, own / "repo")
    shutil.copytree(own / "repo", following / "repo", symlinks=True)
    _sign(secret, following, following / "repo")
    shutil.copy(own / "repo" / "apt" / "hullmark.asc", folder / "key.asc")


def _sign(secret: Path, packages: Path, repository: Path) -> None:
    files = sorted([*(packages / "deb").glob("*.deb"), *(packages / "rpm").glob("*.rpm")])
    _run(TREE / "packaging" / "repo.sh", "--key", secret, "--out", repository, *files)


def _make_key(folder: Path) -> Path:
    """RSA, as a shop's would be: hosts in FIPS mode refuse Ed25519."""
    secret = folder / "secret-key.asc"
    with tempfile.TemporaryDirectory(prefix="hm-gpg-") as home:
        gpg = ["gpg", "--homedir", home, "--batch", "--quiet", "--passphrase", ""]
        # The key's agent ends with this command.
        agent = ["gpg-agent", "--homedir", home, "--quiet", "--daemon", "--", "sh", "-c"]
        name = "Hullmark tests <tests@hullmark.example>"
        make = f"{_quoted(gpg)} --quick-generate-key '{name}' rsa3072 sign never"
        export = f"{_quoted(gpg)} --pinentry-mode loopback --armor --export-secret-keys"
        _run(*agent, f"umask 077; {make} && {export} >'{secret}'")
    return secret


def _quoted(words: list[str]) -> str:
    return " ".join(f"'{word}'" for word in words)


def _run(*command: object) -> None:
    done = subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=TIMEOUT_S,
    )
    if done.returncode != 0:
        raise AssertionError(f"{command[0]} ended with {done.returncode}:\n{done.stdout}")


def _hash() -> str:
    """Of names, modes and contents of all that gets into the packages, or makes them."""
    found = hashlib.sha256()
    files = [TREE / name for name in (*PAGES, *SOURCES)]
    files += [file for source in SOURCES for file in (TREE / source).rglob("*")]
    files.append(Path(__file__))
    for file in sorted(files):
        if file.is_file() and file.suffix != ".pyc":
            executable = bool(file.stat().st_mode & 0o100)
            content = hashlib.sha256(file.read_bytes()).hexdigest()
            found.update(f"{file.relative_to(TREE)} {executable} {content}\n".encode())
    return found.hexdigest()[:16]


def _forget_old() -> None:
    """Also what a killed run has left unfinished: the lock is ours, so nobody works on it."""
    folders = [path for path in FOLDER.iterdir() if path.is_dir()]
    used = {path: path.stat().st_mtime for path in folders if "." not in path.name}
    newest = sorted(used, key=lambda path: used[path], reverse=True)[:KEPT]
    for path in folders:
        if path not in newest and used.get(path, 0.0) < time.time() - KEPT_S:
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Released by the kernel when this process ends, however it does."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    print(products().folder)
