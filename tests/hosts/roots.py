"""One root for each image, made by mmdebstrap from the mirrors that `tests.roots.archives` names, and kept in build/hosts.

A root is never written to: hosts are overlays on top of it. Its name has a hash of what it is made from, so another list of
packages is another root. Two processes that want the same one don't make it twice, and an old one is removed only
when nobody holds it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

from tests.cluster import die_with_parent
from tests.hosts.images import IMAGES, Image
from tests.integration.namespaces import outside
from tests.roots.archives import UBUNTU, sources

CHECKOUT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("HULLMARK_CACHE", CHECKOUT / "build")) / "hosts"
# Its own namespaces: what mmdebstrap mounts and starts is gone with it, also when it is killed.
APART = ("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child")
OPTIONS = ("--variant=minbase", '--aptopt=Acquire::Languages "none"', "--dpkgopt=force-unsafe-io")


def root_of(image: Image) -> Path:
    recipe = repr((image.release, image.packages, image.settle, OPTIONS))
    return CACHE / f"{image.name}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"


@contextlib.contextmanager
def held_root(image: Image) -> Iterator[Path]:
    """The image's root, made if it isn't there; nobody removes it before the end of the context."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with _locked(CACHE / f".{image.name}.lock", fcntl.LOCK_EX):
        holder = _lock_of(root_of(image)).open("w")
        fcntl.flock(holder, fcntl.LOCK_SH)
        try:
            if not root_of(image).is_dir():
                _remove_others(image)
                _make(image)
        except BaseException:
            holder.close()
            raise
    with holder:
        yield root_of(image)


OFTEN = tuple(name for name, image in IMAGES.items() if image.release not in UBUNTU)
"""What `make test` boots. The others come from a mirror of their own, and are made only when asked for."""


def make_roots(names: Iterable[str] = OFTEN) -> None:
    """All of them, two at a time."""

    def make(name: str) -> None:
        with held_root(IMAGES[name]):
            pass

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(make, names))


def _make(image: Image) -> None:
    """Complete from the moment that it has its name."""
    began = time.monotonic()
    root = root_of(image)
    draft, log = CACHE / f"draft-{image.name}", CACHE / f"{image.name}.log"
    script = CACHE / f"{image.name}.sh"
    script.write_text(image.settle)
    command = [*outside(), *APART, "mmdebstrap", *OPTIONS]
    command += [f"--include={','.join(image.packages)}", f'--customize-hook=sh {script} "$1"']
    command += [image.release, str(draft), *sources(image.release)]
    with log.open("w") as output:
        code = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=die_with_parent,
        ).returncode
    if code:
        shutil.rmtree(draft, ignore_errors=True)
        raise SystemExit(f"hosts: mmdebstrap of {image.name} failed:\n{log.read_text()[-3000:]}")
    draft.rename(root)
    print(f"hosts: made {image.name} in {time.monotonic() - began:.1f} s", flush=True)


def _remove_others(image: Image) -> None:
    """Drafts of makers that were killed, and roots of other recipes unless a host stands on them."""
    shutil.rmtree(CACHE / f"draft-{image.name}", ignore_errors=True)
    for old in CACHE.glob(f"{image.name}-" + "[0-9a-f]" * 12):
        with (
            contextlib.suppress(BlockingIOError),
            _locked(_lock_of(old), fcntl.LOCK_EX | fcntl.LOCK_NB),
        ):
            shutil.rmtree(old)
            _lock_of(old).unlink()


def _lock_of(root: Path) -> Path:
    return root.with_name(f".{root.name}.lock")


@contextlib.contextmanager
def _locked(path: Path, how: int) -> Iterator[IO[str]]:
    with path.open("w") as lock:
        fcntl.flock(lock, how)
        yield lock
