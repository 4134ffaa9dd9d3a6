"""`make demo` on a terminal, ended in the middle by Ctrl-C."""

from __future__ import annotations

import os
import pty
import select
import sys
import time
from pathlib import Path
from typing import Optional

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
CTRL_C = b"\x03"
SAID = b"demo: interrupted; everything that it started is gone"
UNDER_WAY = b"hello/web.1"
"""A row of the table that `apply --wait` draws."""
OTHERS = (b"no master answers", b"hullmark: ", b"goes on", b"Traceback", b"demo: failed")


@pytest.mark.timeout(240)
def test_ctrl_c_is_told_once_and_by_the_demo_alone() -> None:
    """A terminal sends the signal to all that runs in its foreground."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(CHECKOUT)
        environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "TERM": "xterm"}
        os.execve(sys.executable, [sys.executable, "-m", "tests.demo"], environment)
    try:
        before = _read(terminal, UNDER_WAY, 120)
        assert UNDER_WAY in before, before[-2000:]
        os.write(terminal, CTRL_C)
        after = _read(terminal, None, 90)
    finally:
        os.close(terminal)  # one that still runs is told by that, too
        _, status = os.waitpid(child, 0)
    assert SAID in after, after[-2000:]
    assert not [text for text in OTHERS if text in after], after[-4000:]
    assert os.WEXITSTATUS(status) == 130


def _read(terminal: int, until: Optional[bytes], timeout_s: float) -> bytes:
    """What is written up to there, or to the end."""
    found, deadline = b"", time.monotonic() + timeout_s
    while time.monotonic() < deadline and (until is None or until not in found):
        if not select.select([terminal], [], [], 1.0)[0]:
            continue
        try:
            more = os.read(terminal, 65536)
        except OSError:
            break  # its last process is gone (pty(7))
        if not more:
            break
        found += more
    return found
