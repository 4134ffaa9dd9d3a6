"""The end of a long run says which tests failed and why, as many readers of a log have no more than its end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tools import suites

TESTS = """
import pytest

@pytest.fixture
def broken():
    raise OSError("the socket is gone")

def test_sums():
    print("E   is no reason: nobody failed here")
    assert [1, 2, 3] == [1, 2, 4]

@pytest.mark.parametrize("size", [1, 2])
def test_sizes(size):
    assert size == 1, "one is the size"

def test_setup(broken):
    pass
"""


@pytest.mark.parametrize("options", [["-v", "-rP"], ["-q"]])
def test_what_failed_is_told_with_its_reasons(tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "test_some.py").write_text(TESTS)
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options, "test_some.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    reading = suites.Reading()
    for line in ran.stdout.splitlines(keepends=True):
        reading.take(line)
    assert reading.counts == {"passed": 1, "failed": 3, "skipped": 0}
    told = "\n".join(reading.told)
    assert "ERROR at setup of test_setup" in told
    assert "OSError: the socket is gone" in told
    assert "test_sizes[2]\n    E       AssertionError: one is the size" in told
    assert "test_sums" in told
    assert "assert [1, 2, 3] == [1, 2, 4]" in told
    assert "test_sizes[1]" not in told


def test_without_a_failed_test_the_last_lines_are_told() -> None:
    reading = suites.Reading()
    for number in range(100):
        reading.take(f"tests/x.py:{number}:1: F401 unused\n")
    assert reading.told[-1] == "tests/x.py:99:1: F401 unused"
    assert len(reading.told) == suites.LAST_LINES


def test_many_failures_are_cut_and_counted() -> None:
    reading = suites.Reading()
    for number in range(40):
        reading.take(f"____ test_{number} ____")
        for _ in range(100):
            reading.take("E   " + "x" * 5000)
    assert reading.told[-1] == f"and {40 - suites.FAILURES_MOST} more"
    assert len("\n".join(reading.told)) < 30_000


def test_the_table_ends_with_what_failed() -> None:
    good = suites.Outcome("check", 3, 0, 0, seconds=1.0, busy=0.5, reason="")
    bad = suites.Outcome(
        "e2e", 1, 1, 0, 1.0, 0.5, reason="make exited 2", told=("test_a", "    E   no")
    )
    table = suites.table([good, bad])
    assert "2.0 s in all" in table
    assert table.endswith("=== failed in e2e:\ntest_a\n    E   no")
    assert "failed in check" not in table
