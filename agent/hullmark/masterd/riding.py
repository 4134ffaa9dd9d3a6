"""What rides with a change: writes that have to be in the very transaction of a change that somebody else's code makes.

An approved change is carried out by the code that would have done so at once. That it was approved, and is no longer waiting,
rides with it: both are in the store, or neither is, whoever dies in between.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Optional

from hullmark.model import jsontext
from hullmark.model.protocol import ResolveAnswer
from hullmark.model.wire import canonical, from_wire, to_wire
from hullmark.store.protocol import Compare, Write


@dataclass
class Rider:
    """`digests` are what the tags of an app's images were when it was asked for. `rode`: its writes are in the store."""

    compares: Sequence[Compare]
    writes: Sequence[Write]
    digests: Mapping[str, str] = field(default_factory=dict)
    rode: bool = False


_rider: ContextVar[Optional[Rider]] = ContextVar("rider", default=None)


@contextmanager
def riding(rider: Rider) -> Iterator[None]:
    """Tasks that are begun meanwhile carry it too."""
    token = _rider.set(rider)
    try:
        yield
    finally:
        _rider.reset(token)


def aboard(
    compares: Sequence[Compare], writes: Sequence[Write]
) -> tuple[list[Compare], list[Write]]:
    """The transaction with what rides, which comes last. A key is compared once."""
    rider = _rider.get()
    if rider is None or rider.rode:
        return list(compares), list(writes)
    more = [each for each in rider.compares if each not in compares]
    return [*compares, *more], [*writes, *rider.writes]


def arrived() -> None:
    """The transaction is in the store."""
    rider = _rider.get()
    if rider is not None:
        rider.rode = True


def resolved(image: str, platform: str, pull_policy: str) -> Optional[ResolveAnswer]:
    """What a tag was when the change that is carried out now was asked for; None where nobody looked."""
    rider = _rider.get()
    kept = None if rider is None else rider.digests.get(question(image, platform, pull_policy))
    return None if kept is None else from_wire(ResolveAnswer, jsontext.loads(kept))


def question(image: str, platform: str, pull_policy: str) -> str:
    return " ".join((image, platform, pull_policy))


def kept(answer: ResolveAnswer) -> str:
    """As `Rider.digests` has it."""
    return canonical(to_wire(answer)).decode()
