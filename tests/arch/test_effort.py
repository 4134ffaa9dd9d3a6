"""A limit of processor time must be able to fail, and waiting must not count."""

from __future__ import annotations

import time

import pytest

from tests.effort import at_most


def test_work_that_multiplies_is_too_much() -> None:
    with pytest.raises(AssertionError, match="on a machine"), at_most(0.01):
        sum(range(30_000_000))


def test_waiting_is_no_work() -> None:
    with at_most(0.05):
        time.sleep(0.2)
