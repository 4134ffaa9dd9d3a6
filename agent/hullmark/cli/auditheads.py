"""Heads that masters vouch for: from a file that was kept, or asked of each master now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from hullmark.cli.address import Address, find
from hullmark.cli.client import Client
from hullmark.cli.options import Asked
from hullmark.core.headsfile import FIRST_LINK, Break, Entry, parse
from hullmark.errors import Forbidden, HullmarkError, InvalidInput, NotFound, Refused
from hullmark.model.audit import Head

PATH = "/v1/audit/heads"
QUICK_S = 10.0


@dataclass
class Known:
    """Of one log. `sources` are the masters whose files say something of it. `accepted`: an operator had it go on from what it
    was then, so earlier heads don't count."""

    heads: list[Head] = field(default_factory=list)
    refused: list[tuple[str, Break]] = field(default_factory=list)
    sources: set[str] = field(default_factory=set)
    accepted: list[str] = field(default_factory=list)


@dataclass
class Heads:
    """By log. `silent`: which masters could not be asked, and why. `troubles`: what is wrong with the files of heads."""

    logs: dict[str, Known] = field(default_factory=dict)
    masters: set[str] = field(default_factory=set)
    silent: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)

    def of(self, log: str) -> Known:
        return self.logs.get(log) or Known()

    def take(self, where: str, lines: Iterable[bytes], *, whole: bool) -> None:
        """Lines of files of heads, of one master after the other. `whole`: none is left out, so each has to follow the one before."""
        link: dict[str, str] = {}
        for number, line in enumerate(lines, 1):
            try:
                entry = parse(line)
            except InvalidInput as error:
                self.troubles.append(f"{where}:{number}: {error.message}")
                continue
            master = entry.content.master
            before = link.get(master, FIRST_LINK if entry.content.number == 1 else entry.prev)
            if whole and entry.prev != before:
                self.troubles.append(
                    f"{where}:{number}: entry {entry.content.number} of {master} does not follow the one before"
                )
            link[master] = entry.link
            self._count(entry)

    def ask(self, asked: Asked, log: str = "") -> None:
        """Each master that was named; without a name of a log about all. Who doesn't answer is named in `silent`."""
        try:
            for address, lines in asked_each(asked, log):
                try:
                    self.take(str(address), lines, whole=not log)
                except HullmarkError as error:
                    self.silent.append(error.message)
        except (Forbidden, NotFound) as error:  # no login for any
            self.silent.append(error.message)

    def _count(self, entry: Entry) -> None:
        content = entry.content
        self.masters.add(content.master)
        for acceptance in content.accepted:
            known = self._known(acceptance.log, content.master)
            known.heads.clear()
            known.refused.clear()
            known.accepted.append(f"{content.at} by {acceptance.by} at {content.master}")
        for signed in content.heads:
            self._known(signed.head.log, content.master).heads.append(signed.head)
        for broken in content.refused:
            known = self._known(broken.head.log, content.master)
            known.refused.append((content.master, broken))

    def _known(self, log: str, master: str) -> Known:
        known = self.logs.setdefault(log, Known())
        known.sources.add(master)
        return known


def from_files(names: Sequence[str]) -> Heads:
    """Raises Refused where one can't be read."""
    heads = Heads()
    for name in names:
        try:
            with Path(name).open("rb") as file:
                heads.take(name, (line.rstrip(b"\n") for line in file), whole=True)
        except OSError as error:
            raise Refused(f"{name} can't be read: {error.strerror}") from error
    return heads


def asked_each(asked: Asked, log: str = "") -> Iterator[tuple[Address, Iterator[bytes]]]:
    """The lines of each master's file, which raise where it doesn't answer. Raises as `address.find`."""
    query = {"log": log} if log else {}
    for address in find(asked):
        client = Client([address], QUICK_S, retry_s=0.0)
        click.get_current_context().call_on_close(client.close)
        yield address, client.raw_lines(PATH, query)
