"""Processes of the host, those in containers among them."""

from __future__ import annotations

import psutil

CLOCK_S = 5.0
"""How much earlier than it was begun a process may seem to be born: the kernel counts from the boot."""


def kill_with_children(pid: int, begun_at: float) -> bool:
    """SIGKILL to a process and all that came of it. False where it is gone, or its number is another's by now: one that was
    born before `begun_at` (seconds since 1970)."""
    try:
        process = psutil.Process(pid)
        if process.create_time() < begun_at - CLOCK_S:
            return False
        found = [process, *process.children(recursive=True)]
    except psutil.Error:
        return False
    for one in found:
        try:
            one.kill()
        except psutil.Error:
            continue
    return True
