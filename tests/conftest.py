"""For all suites: which combinations run, and how hypothesis runs."""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

# The same examples on every machine, as long as the same modules are loaded, of whose constants some are made; and no time limit on a
# shared one. HYPOTHESIS_PROFILE=search looks for new ones, quick tries a part of the same: what is typed a few times an hour is to take a minute.
PATIENT: dict[str, Any] = {
    "deadline": None,
    "database": None,
    "suppress_health_check": [hypothesis.HealthCheck.too_slow],
}
hypothesis.settings.register_profile("same", derandomize=True, **PATIENT)
hypothesis.settings.register_profile("search", max_examples=2000, **PATIENT)
hypothesis.settings.register_profile("quick", derandomize=True, **PATIENT)
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "same")
QUICK_SHARE, QUICK_LEAST = 8, 5
hypothesis.settings.load_profile(PROFILE)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--full", action="store_true", help="also the combinations that are not in every run"
    )
    parser.addoption(
        "--ubuntu", action="store_true", help="only what runs on Ubuntu, from a mirror of its own"
    )


def pytest_configure() -> None:
    """HULLMARK_TEST_HAPROXY=/PATH/haproxy: that one is what tests and agents find, instead of the machine's."""
    program = Path(os.environ.get("HULLMARK_TEST_HAPROXY", "/usr/sbin/haproxy"))
    if program.name != "haproxy" or not program.is_absolute():
        raise pytest.UsageError(f"HULLMARK_TEST_HAPROXY: {program} is no /PATH/haproxy")
    if "HULLMARK_TEST_HAPROXY" in os.environ:
        os.environ["PATH"] = f"{program.parent}:{os.environ['PATH']}"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without --full, what is marked so is left out; what is marked ubuntu is in runs with --ubuntu, and nothing else is.
    Quickly, a part of each test's own number of examples is tried."""
    if PROFILE == "quick":
        _try_a_part(items)
    full, ubuntu = config.getoption("--full"), config.getoption("--ubuntu")

    def is_asked_for(item: pytest.Item) -> bool:
        if (item.get_closest_marker("ubuntu") is not None) != ubuntu:
            return False
        return full or item.get_closest_marker("full") is None

    left_out = [item for item in items if not is_asked_for(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if is_asked_for(item)]


def pytest_collection_finish() -> None:
    """The garbage collector need not walk through what ten thousand collected tests hold, which stays to the end; and what a test makes is
    mostly gone with it, so that the collector need not look for more every 700 objects: that is a twentieth of all the time."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def _try_a_part(items: list[pytest.Item]) -> None:
    """`@settings` of a test outranks a profile, so it is there that the number is lowered: hypothesis keeps it beside the function."""
    tests: set[Any] = {item.obj for item in items if isinstance(item, pytest.Function)}
    for test in tests:
        own = getattr(test, "_hypothesis_internal_use_settings", None)
        if own is not None:
            examples = max(QUICK_LEAST, own.max_examples // QUICK_SHARE)
            test._hypothesis_internal_use_settings = hypothesis.settings(own, max_examples=examples)


@pytest.fixture(autouse=True)
def _logging_stays_as_it_was() -> Iterator[None]:
    """A daemon's start sets it up for the process; the next test still finds its records in `caplog`."""
    logger = logging.getLogger("hullmark")
    before = logger.handlers, logger.level, logger.propagate
    yield
    logger.handlers, logger.level, logger.propagate = before
