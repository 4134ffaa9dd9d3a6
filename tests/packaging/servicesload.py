"""Requests to the published ports of all hosts of the bed, each of which the application answers by asking another service by name.

A handshake of TLS costs 2.5 ms of processor time on both sides together, and there are one or two on the way of each new connection: 500 new ones
a second would be more than two processors can do. So four of five requests are over connections that stay open all the time, all the way; no
one of those may be closed either.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from tests.load import Load
from tests.packaging.servicesbed import KINDS, PORT, Shop

PATHS = ("/db", "/redis")
KEPT, NEW = 400.0, 100.0
"""Requests a second in all: over connections that are kept, and each on a new one."""
REACHED = 0.9


@contextlib.contextmanager
def under_load(shop: Shop) -> Iterator[None]:
    """Raises AssertionError where a request failed or a kept connection was closed, and where there were too few of them."""
    ways = list(itertools.product(KINDS, PATHS, (True, False)))
    loads = [
        Load(
            shop.client.inside,
            shop.hosts[name].address,
            PORT,
            path,
            rate=(KEPT if kept else NEW) * 2 / len(ways),
            kept=kept,
        )
        for name, path, kept in ways
    ]
    # They end at the same time: each waits for its open requests.
    with ThreadPoolExecutor(len(loads)) as pool, contextlib.ExitStack() as stack:
        for load in loads:
            load.__enter__()
            stack.callback(pool.submit, load.__exit__, None, None, None)
        yield
    asked = [f"{load.aim.host}{load.aim.path}{' kept' * load.aim.kept}" for load in loads]
    failed = {
        way: (load.outcome.reasons, load.outcome.failures[:2])
        for way, load in zip(asked, loads)
        if load.outcome.failures
    }
    assert not failed, failed
    closed = {
        way: load.outcome.reopened for way, load in zip(asked, loads) if load.outcome.reopened
    }
    assert not closed, f"connections that were kept were closed: {closed}"
    rate = sum(load.outcome.rate for load in loads)
    print(f"MEASURED {rate:.0f} requests a second in all")
    assert rate > (KEPT + NEW) * REACHED, f"{rate:.0f} requests a second: the machine is too busy"
