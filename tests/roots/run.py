"""Run the unit suite in minimal roots of Debian 11 and 13, or Ubuntu, with those releases' own Python packages.

    python tests/roots/run.py [--ubuntu] [PYTEST-ARGUMENT...]

Debian 11 stands in for the RHEL 9 family: Python 3.9 and libraries of that age. The roots are made once, by
mmdebstrap from the mirrors that `archives` names, and kept in build/roots; packages are unpacked, not
configured, which takes seconds and is enough for Python. Two releases at a time run beside each other, each in namespaces of
its own: no network but loopback, the checkout read-only, an empty /tmp.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.roots.archives import CACHE, CHECKOUT, UBUNTU, sources

ENTER = Path(__file__).with_name("enter.sh")
APART = ("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child")
MODULES = (
    *("aiohttp", "click", "cryptography", "docker", "hypothesis", "jinja2", "psutil", "pyinotify"),
    *("pytest", "requests", "rich", "yaml"),
)
PACKAGES = (
    *("base-files", "ca-certificates", "coreutils", "dash", "python3"),
    *(f"python3-{module}" for module in MODULES),
)
VERSIONS = f"""
import importlib, sys
versions = ["Python " + sys.version.split()[0]]
for name in {MODULES!r}:
    module = importlib.import_module(name)
    version = getattr(module, "__version__", None)
    versions.append(name + " " + str(version) if version else name)
print(", ".join(versions))
"""
# What configuring the packages would have made, as far as Python wants it.
CONFIGURED = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/hosts": "127.0.0.1 localhost\n",
}


@dataclass(frozen=True)
class Release:
    name: str
    codename: str

    @property
    def root(self) -> Path:
        """Another list of packages, or another way to make it, is another root."""
        digest = hashlib.sha256((",".join(PACKAGES) + str(CONFIGURED)).encode()).hexdigest()[:12]
        return CACHE / f"{self.codename}-{digest}"


FULL = "--full"
PLAIN = ("-m", "not hypothesis")
"""Another Python and other libraries show in the tests with examples of their own; searching for cases is half of the time, and done by `make check`."""
DEBIANS = (Release("Debian 11", "bullseye"), Release("Debian 13", "trixie"))
UBUNTUS = tuple(Release(f"Ubuntu {number}", codename) for codename, number in UBUNTU.items())
ON_UBUNTU = "--ubuntu"
AT_ONCE = 2


def make(release: Release) -> None:
    """Make the release's root unless it is there; complete from the moment that it has its name."""
    if release.root.is_dir():
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    for old in CACHE.glob(f"{release.codename}-*"):
        shutil.rmtree(old)
    draft = release.root.with_name(f"draft-{release.codename}-{os.getpid()}")
    began = time.monotonic()
    log = CACHE / f"{release.codename}.log"
    command = ["mmdebstrap", "--variant=extract", f"--include={','.join(PACKAGES)}"]
    command += [release.codename, str(draft), *sources(release.codename)]
    with log.open("w") as output:
        code = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        ).returncode
    if code:
        shutil.rmtree(draft, ignore_errors=True)
        raise SystemExit(
            f"roots: mmdebstrap of {release.codename} failed:\n{log.read_text()[-3000:]}"
        )
    _configure(draft)
    draft.rename(release.root)
    print(f"roots: made {release.name} in {time.monotonic() - began:.1f} s", flush=True)


def _configure(root: Path) -> None:
    (root / "checkout").mkdir()
    for name, content in CONFIGURED.items():
        (root / name).write_text(content)
    authorities = sorted((root / "usr/share/ca-certificates/mozilla").glob("*.crt"))
    bundle = root / "etc/ssl/certs/ca-certificates.crt"
    bundle.write_text("".join(one.read_text() for one in authorities))


def run_suite(release: Release, arguments: list[str]) -> tuple[Release, int, str]:
    """The suite's exit code and output in one release."""
    make(release)
    outputs = []
    for command in (
        ["python3", "-c", VERSIONS],
        [
            "python3",
            "-m",
            "pytest",
            "-q",
            *(() if FULL in arguments else PLAIN),
            "tests/unit",
            *arguments,
        ],
    ):
        done = subprocess.run(
            [*APART, "sh", str(ENTER), str(release.root), str(CHECKOUT), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        outputs.append(done.stdout)
        if done.returncode:
            break
    return release, done.returncode, "".join(outputs)


def main(arguments: list[str]) -> int:
    failed = 0
    releases = UBUNTUS if ON_UBUNTU in arguments else DEBIANS
    others = [each for each in arguments if each != ON_UBUNTU]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for release, code, output in pool.map(lambda each: run_suite(each, others), releases):
            print(f"--- {release.name} ({release.codename})\n{output}", flush=True)
            failed |= code
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
