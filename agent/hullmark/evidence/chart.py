"""The outages' timeline as a picture: where lines, bars and words are, in units of the picture. The template draws it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hullmark.model.moments import day
from hullmark.model.outage import Outage

WIDTH, LABELS, ROW, HEAD = 1000.0, 250.0, 22.0, 34.0
BAR_LEAST = 3.0
"""So that what lasted seconds is still seen in a month."""
ROWS_MOST = 60
_STEPS_S = (
    60,
    300,
    900,
    3600,
    3 * 3600,
    6 * 3600,
    86400,
    2 * 86400,
    7 * 86400,
    30 * 86400,
    91 * 86400,
)
_TICKS_MOST = 16


@dataclass(frozen=True)
class Tick:
    x: float
    text: str


@dataclass(frozen=True)
class Bar:
    """`open`: it lasts on beyond the picture's end."""

    x: float
    width: float
    planned: bool
    open: bool
    text: str


@dataclass(frozen=True)
class Row:
    """One control of one host."""

    y: float
    host: str
    control: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Chart:
    width: float
    height: float
    left: float
    ticks: tuple[Tick, ...]
    rows: tuple[Row, ...]
    left_out: int


def chart(outages: Sequence[Outage], begins: float, ends: float) -> Chart:
    """By host and control; those with the earliest first where there are too many."""
    lines: dict[tuple[str, str], list[Outage]] = {}
    for outage in sorted(outages, key=lambda each: each.began):
        lines.setdefault((outage.host, outage.control_id), []).append(outage)
    shown = sorted(list(lines)[:ROWS_MOST])
    rows = tuple(
        Row(HEAD + number * ROW, *key, tuple(_bar(each, begins, ends) for each in lines[key]))
        for number, key in enumerate(shown)
    )
    height = HEAD + len(rows) * ROW + 6
    return Chart(WIDTH, height, LABELS, _ticks(begins, ends), rows, len(lines) - len(rows))


def _x(at: float, begins: float, ends: float) -> float:
    share = (at - begins) / max(ends - begins, 1.0)
    return round(LABELS + (WIDTH - LABELS) * min(1.0, max(0.0, share)), 1)


def _bar(outage: Outage, begins: float, ends: float) -> Bar:
    lasts = not outage.ended or outage.ended > ends
    first, last = _x(outage.began, begins, ends), _x(ends if lasts else outage.ended, begins, ends)
    width = max(BAR_LEAST, last - first)
    first = min(first, WIDTH - width)
    until = day(outage.ended) if outage.ended else "open"
    text = f"{outage.title}: {day(outage.began)} to {until}: {outage.reason}"
    return Bar(first, round(width, 1), outage.planned, lasts, text)


def _ticks(begins: float, ends: float) -> tuple[Tick, ...]:
    """At round times in UTC."""
    length = ends - begins
    step = next((one for one in _STEPS_S if length / one <= _TICKS_MOST), _STEPS_S[-1])
    first = -(-int(begins) // step) * step
    times = range(first, int(ends) + 1, step)
    return tuple(Tick(_x(at, begins, ends), _label(at, step)) for at in times[: 4 * _TICKS_MOST])


def _label(at: float, step: float) -> str:
    text = day(at)  # 2026-11-24 01:30 UTC
    return text[5:10] if step >= 86400 else text[11:16] if step < 3 * 3600 else text[5:16]
