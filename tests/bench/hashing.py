"""`python -m tests.bench.hashing`, also a part of `make bench`: how fast watched files are read and compared, beside AIDE on the same tree.

Both read all of it and make SHA-256 of each file, with owner, mode and target. The agent works in one thread and, unlike here, waits
between parts so that it takes a tenth of a core at most; AIDE 0.18 has a thread for each core.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from hullmark.core.filechanges import compare
from hullmark.host import filepicture

OUTPUT = Path("build/hashing-bench.json")
MIB = 1 << 20
FOLDERS, FILES, BYTES = 40, 50, 128 << 10
TURNS, QUICK_TURNS = 5, 2
RULES = """\
database_in=file:{folder}/aide.db
database_out=file:{folder}/aide.db.new
report_url=file:{folder}/report
{tree} p+u+g+l+ftype+sha256
"""


def measure(quick: bool, folder: Path) -> dict[str, Any]:
    tree = folder / "tree"
    size = _plant(tree, FOLDERS // 4 if quick else FOLDERS)
    aide = _Aide(folder, tree)
    known, _ = filepicture.take([str(tree)], {})
    ours: list[tuple[float, float]] = []
    quick_looks: list[float] = []
    theirs: list[tuple[float, float]] = []
    for _ in range(QUICK_TURNS if quick else TURNS):
        ours.append(_timed(lambda: _compare(tree, known, afresh=True), resource.RUSAGE_SELF))
        quick_looks.append(
            _timed(lambda: _compare(tree, known, afresh=False), resource.RUSAGE_SELF)[0]
        )
        if aide.there:
            theirs.append(_timed(aide.check, resource.RUSAGE_CHILDREN))
    return {
        "files": len(known),
        "bytes": size,
        "hullmark_s": [wall for wall, _ in ours],
        "hullmark_cpu_s": [cpu for _, cpu in ours],
        "hullmark_unchanged_s": quick_looks,
        "aide_s": [wall for wall, _ in theirs],
        "aide_cpu_s": [cpu for _, cpu in theirs],
    }


def _plant(tree: Path, folders: int) -> int:
    chance, size = random.Random(7), 0
    for number in range(folders):
        inside = tree / f"folder{number}"
        inside.mkdir(parents=True)
        for name in range(FILES):
            content = chance.randbytes(chance.randrange(1, 2 * BYTES))
            (inside / f"file{name}").write_bytes(content)
            size += len(content)
    return size


def _compare(tree: Path, known: dict[str, Any], *, afresh: bool) -> None:
    found, troubles = filepicture.take([str(tree)], known, afresh=afresh)
    assert not troubles
    assert compare(known, found) == ()


class _Aide:
    def __init__(self, folder: Path, tree: Path) -> None:
        self._rules = folder / "aide.conf"
        self._rules.write_text(RULES.format(folder=folder, tree=tree))
        self.there = shutil.which("aide") is not None
        if self.there:
            self._run("--init")
            (folder / "aide.db.new").rename(folder / "aide.db")

    def check(self) -> None:
        self._run("--check")

    def _run(self, what: str) -> None:
        subprocess.run(
            ["aide", "--config", str(self._rules), what], check=True, capture_output=True
        )


def _timed(work: Any, whose: int) -> tuple[float, float]:
    """Seconds of wall clock, and of CPU."""
    before, began = resource.getrusage(whose), time.monotonic()
    work()
    after = resource.getrusage(whose)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.monotonic() - began, cpu


def print_table(found: dict[str, Any]) -> None:
    size = found["bytes"] / MIB
    print(f"\n{'watched files':34}{'median':>10}{'MiB/s':>10}{'of AIDE':>10}")
    print(f"  {found['files']} files, {size:.0f} MiB, {os.cpu_count()} cores")
    base = {kind: _middle(found[f"aide_{kind}"]) for kind in ("s", "cpu_s")}
    for title, key, kind in (
        ("all read, seconds", "hullmark_s", "s"),
        ("all read, CPU seconds", "hullmark_cpu_s", "cpu_s"),
        ("unchanged, not read, seconds", "hullmark_unchanged_s", ""),
        ("AIDE --check, seconds", "aide_s", ""),
        ("AIDE --check, CPU seconds", "aide_cpu_s", ""),
    ):
        middle = _middle(found[key])
        if not middle:
            continue
        ratio = f"{middle / base[kind]:10.2f}" if kind and base[kind] else ""
        print(f"  {title:32}{middle:10.3f}{size / middle:10,.0f}{ratio}")


def _middle(values: list[float]) -> float:
    return statistics.median(values) if values else 0.0


def measured(quick: bool, where: str = "") -> dict[str, Any]:
    """In a folder of its own, below `where`."""
    folder = Path(tempfile.mkdtemp(prefix="hm-hashing-", dir=where or None))
    try:
        return measure(quick, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.hashing", description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--folder", default="", help="a folder on the disk to measure")
    options = parser.parse_args()
    found = measured(options.quick, options.folder)
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps(found, indent=2) + "\n")
    print_table(found)
    print(f"\nwritten to {OUTPUT}")


if __name__ == "__main__":
    main()
