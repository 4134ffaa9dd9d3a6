"""The live table of a change on a terminal."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Optional

from rich.console import Console
from rich.live import Live as RichLive
from rich.text import Text

from hullmark.cli.standing import instance_row, state, summary
from hullmark.cli.table import cut, table
from hullmark.cli.words import age, one_line
from hullmark.model.api import AppDetail, InstanceView

ROWS_MOST = 20
HEADS = ("INSTANCE", "HOST", "STATE", "")
_COLOURS = {
    "running": "green",
    "healthy": "green",
    "completed": "green",
    "failed": "red",
    "unhealthy": "red",
    "backoff": "yellow",
}


class Live:
    """A progress on standard error. Redrawn while it is used as a context, then taken away."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._live = RichLive(self, console=self._console, refresh_per_second=4, transient=True)
        self._begin = time.monotonic()
        self._detail: Optional[AppDetail] = None

    def __rich__(self) -> Text:
        """Asked for at every redrawing, so that the time goes on while there is no news."""
        if self._detail is None:
            return Text()
        return drawn(self._detail, self._console.width, time.monotonic() - self._begin)

    def __enter__(self) -> Live:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self._live.stop()

    def seen(self, detail: AppDetail) -> None:
        self._detail = detail
        self._live.refresh()


def drawn(detail: AppDetail, columns: int, seconds: float) -> Text:
    """The whole display as text: a line for the app, then one for each instance, unready ones first."""
    ordered = sorted(detail.instances, key=_is_good)
    shown = ordered[:ROWS_MOST]
    rows = [(*instance_row(item)[:3], one_line(item.why)) for item in shown]
    text = Text(f"{summary(detail)}  {age(seconds)}", no_wrap=True, overflow="crop")
    for index, line in enumerate(table(HEADS, rows, columns)):
        style = "" if index == 0 else _COLOURS.get(state(shown[index - 1]), "")
        text.append(f"\n{cut(line, columns)}", style=style)
    if len(ordered) > len(shown):
        text.append(f"\nand {len(ordered) - len(shown)} more")
    return text


def _is_good(item: InstanceView) -> bool:
    return state(item) in ("running", "healthy", "completed")
