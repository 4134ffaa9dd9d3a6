"""For all suites: which combinations run, how hypothesis runs, and what a unit test may not do."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

UNIT = Path(__file__).parent / "unit"

# The same examples on every machine, and no time limit on a shared one. HYPOTHESIS_PROFILE=search looks for new ones.
PATIENT: dict[str, Any] = {
    "deadline": None,
    "database": None,
    "suppress_health_check": [hypothesis.HealthCheck.too_slow],
}
hypothesis.settings.register_profile("same", derandomize=True, **PATIENT)
hypothesis.settings.register_profile("search", max_examples=2000, **PATIENT)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--full", action="store_true", help="also the combinations that are not in every run"
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without --full, what is marked so is left out."""
    if config.getoption("--full"):
        return
    left_out = [item for item in items if item.get_closest_marker("full")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("full")]


@pytest.fixture(autouse=True)
def _logging_stays_as_it_was() -> Iterator[None]:
    """A daemon's start sets it up for the process; the next test still finds its records in `caplog`."""
    logger = logging.getLogger("hullmark")
    before = logger.handlers, logger.level, logger.propagate
    yield
    logger.handlers, logger.level, logger.propagate = before


@pytest.fixture(autouse=True)
def _no_effects_in_unit_tests(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A unit test starts no process, connects to nothing beyond this machine, and doesn't wait for time to pass."""
    if UNIT not in Path(str(request.node.fspath)).parents:
        return
    connect, sleep = socket.socket.connect, time.sleep

    def connect_here(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX and address[0] not in {"127.0.0.1", "::1", "localhost"}:
            pytest.fail(f"a unit test connected to {address}")
        connect(self, address)

    def start(*args: Any, **_: Any) -> None:
        pytest.fail(f"a unit test started a process: {args[1:2]}")

    def nap(seconds: float) -> None:
        if seconds > 0.05:
            pytest.fail(f"a unit test slept for {seconds} s")
        sleep(seconds)

    monkeypatch.setattr(socket.socket, "connect", connect_here)
    monkeypatch.setattr(subprocess.Popen, "__init__", start)
    monkeypatch.setattr(time, "sleep", nap)
