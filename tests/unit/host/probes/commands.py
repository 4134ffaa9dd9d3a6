"""An eye that runs nothing: what programs would print is told to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

from hullmark.host.eye import MOST, Eye
from hullmark.model.control import Reading, Trouble


class Blinkered(Eye):
    """`says` is by the first words of a command line. All programs are there but those of `absent`. `ran` is what was run."""

    def __init__(
        self, root: Path, says: Optional[Mapping[str, str]] = None, absent: Sequence[str] = ()
    ) -> None:
        super().__init__(root=str(root))
        self._says = says or {}
        self._absent = absent
        self.ran: list[str] = []

    def program(self, name: str) -> str:
        return "" if name in self._absent else f"/usr/bin/{name}"

    def run(
        self,
        name: str,
        argv: Sequence[str],
        *,
        given: str = "",
        most: int = MOST,
        keep_end: bool = False,
        timeout_s: Optional[float] = None,
        **more: Any,
    ) -> Reading:
        line = " ".join(argv)
        self.ran.append(line)
        for words, text in self._says.items():
            if line.startswith(words):
                return Reading(name, line, text=text, code=0)
        return Reading(name, line, trouble=Trouble.MISSING)
