"""What the processes of `tests.forked` do is told as if one had done it, and nothing that goes wrong with one of them is lost."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OUTCOMES = """
import os, sys, warnings
import pytest

@pytest.fixture(scope="module")
def process():
    return os.getpid()

@pytest.mark.parametrize("number", range(90))
def test_each_in_a_process_that_was_forked(number, process, tmp_path):
    assert os.getpid() == process != os.getsid(0)
    assert not any(tmp_path.iterdir())
    (tmp_path / "mine").touch()

def test_that_fails():
    print("said on the way")
    assert [1, 2, 3] == [1, 2, 4]

def test_that_warns():
    warnings.warn("be careful", UserWarning)

@pytest.mark.skip(reason="not here")
def test_that_is_left_out():
    pass

@pytest.mark.xfail(strict=True)
def test_that_is_known_to_fail():
    assert not "known"

@pytest.fixture
def broken():
    raise OSError("no fixture")

def test_that_can_not_begin(broken):
    pass
"""
ENDINGS = {
    "os._exit(0)": "a worker ended in the middle of its tests",
    "pytest.exit('enough')": "a worker could not go on",
}


def run(folder: Path, source: str, *options: str) -> tuple[int, str]:
    """Its exit code, and what it printed."""
    (folder / "test_it.py").write_text(source)
    command = [sys.executable, "-m", "pytest", "-p", "tests.forked", "--forks", "2", *options]
    done = subprocess.run(
        [*command, "--rootdir", str(folder), "-p", "no:cacheprovider", "-rfEsx", "test_it.py"],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        start_new_session=True,
        timeout=120,
    )
    return done.returncode, done.stdout + done.stderr


def test_every_outcome_is_told(tmp_path: Path) -> None:
    code, told = run(tmp_path, OUTCOMES)
    assert code == 1, told
    assert "1 failed, 91 passed, 1 skipped, 1 xfailed, 1 warning, 1 error in" in told
    for words in (
        "At index 2 diff: 3 != 4",
        "said on the way",
        "UserWarning: be careful",
        ": not here",
        "XFAIL test_it.py::test_that_is_known_to_fail",
        "ERROR test_it.py::test_that_can_not_begin - OSError: no fixture",
    ):
        assert words in told


def test_the_first_failure_may_be_the_last(tmp_path: Path) -> None:
    """All would take 9 s, and who listens hears of the failure in the first."""
    source = """
import time, pytest
@pytest.mark.parametrize("n", range(900))
def test_it(n):
    time.sleep(0.02 if n else 0)
    assert n
"""
    code, told = run(tmp_path, source, "-x")
    assert code == 1, told
    assert "stopping after 1 failures" in told
    passed = re.search(r"(\d+) passed", told)
    assert passed is None or int(passed[1]) < 600


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_worker_that_ends_is_no_pass(tmp_path: Path, ending: str) -> None:
    code, told = run(tmp_path, f"import os, pytest\ndef test_it():\n    {ending}\n")
    assert code == 3, told
    assert ENDINGS[ending] in told
