"""What Hullmark and its containers have on this host, and what differs from a picture of the host taken before.

Owns: the picture of a whole host, its comparison, the list of what is Hullmark's. Refuses: to change anything, or to
need anything but Python where it only takes the picture. Invariant: what could not be looked at is named, never left out.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Optional

from hullmark.footprint import picture
from hullmark.footprint.announcements import Announcement
from hullmark.footprint.comparison import Comparison, Difference, compare
from hullmark.footprint.judgement import Judge
from hullmark.footprint.picture import Head

__all__ = ["Announcement", "Difference", "Head", "Report", "Verdict", "report"]


@dataclass(frozen=True)
class Verdict:
    """`announcement` None: not announced."""

    difference: Difference
    announcement: Optional[Announcement]


@dataclass(frozen=True)
class Report:
    """`not_compared`: (what, why)."""

    before: Head
    after: Head
    verdicts: tuple[Verdict, ...]
    not_compared: tuple[tuple[str, str], ...]

    @property
    def not_announced(self) -> tuple[Verdict, ...]:
        return tuple(one for one in self.verdicts if one.announcement is None)


def report(before: str, after: Optional[str] = None) -> Report:
    """Of two files with pictures, or of one and this host as it is now. Raises InvalidInput for what is no picture."""
    with picture.opened(before) as first, _second(after) as second:
        found = compare(first, second)
        heads = first.head, second.head
    judge = Judge(found, [before, after or "", *(head.file for head in heads)])
    verdicts = tuple(Verdict(one, judge.announcement(one)) for one in found.differences)
    return Report(heads[0], heads[1], verdicts, (*found.not_compared, *_unread(found)))


@contextlib.contextmanager
def _second(after: Optional[str]) -> Iterator[picture.Picture]:
    if after is None:
        yield picture.now()
        return
    with picture.opened(after) as found:
        yield found


def _unread(found: Comparison) -> Iterator[tuple[str, str]]:
    for path, why in sorted(found.unread.items()):
        yield "file", f"{path}: {why}"
