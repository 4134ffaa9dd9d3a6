"""HAProxy of other releases, to try the proxy with:

    HULLMARK_TEST_HAPROXY=$(python -m tests.roots.haproxies jammy) pytest tests/integration/test_proxy_changes.py

Its packages are unpacked once below build/roots, and it runs with that release's own loader and libraries: nothing is installed. What is printed
is a script, as HAProxy starts itself anew by the name that it was started by.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

from tests.integration.namespaces import outside
from tests.roots.archives import CACHE, sources

RELEASES = ("jammy", "noble", "resolute", "trixie")
SCRIPT = """\
#!/bin/sh
exec {loader} --argv0 "$0" --library-path {libraries} {program} "$@"
"""


def haproxy(release: str) -> Path:
    """Made when first asked for. Raises SystemExit where its packages can't be had."""
    root = CACHE / f"haproxy-{release}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"haproxy-{release}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.is_dir():
            _unpack(release, root)
    return root / "started/haproxy"


def _unpack(release: str, root: Path) -> None:
    draft = root.with_name(f"draft-{root.name}")
    shutil.rmtree(draft, ignore_errors=True)
    command = ["mmdebstrap", "--variant=extract", "--include=haproxy", release, str(draft)]
    done = subprocess.run(
        [*outside(), *command, *sources(release)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        shutil.rmtree(draft, ignore_errors=True)
        raise SystemExit(f"roots: mmdebstrap of {release} failed:\n{done.stdout[-3000:]}")
    _write_script(draft, root)
    draft.rename(root)


def _write_script(draft: Path, root: Path) -> None:
    """With the paths that it has once `draft` is `root`."""
    folders = sorted(draft.glob("usr/lib/*-linux-gnu*")) + sorted(draft.glob("lib/*-linux-gnu*"))
    loaders = [loader for folder in folders for loader in folder.glob("ld-linux*.so.*")]
    places = [str(root / each.relative_to(draft)) for each in folders]
    loader, program = root / loaders[0].relative_to(draft), root / "usr/sbin/haproxy"
    script = draft / "started/haproxy"
    script.parent.mkdir()
    script.write_text(
        SCRIPT.format(loader=loader, libraries=":".join(places), program=program), "utf-8"
    )
    script.chmod(0o755)


if __name__ == "__main__":
    if sys.argv[1:] not in [[release] for release in RELEASES]:
        raise SystemExit(f"usage: python -m tests.roots.haproxies {'|'.join(RELEASES)}")
    print(haproxy(sys.argv[1]))
