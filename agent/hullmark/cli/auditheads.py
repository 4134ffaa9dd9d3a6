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
NO_BEGINNING = "is the first one: its beginning is missing"


@dataclass(frozen=True)
class Vouched:
    """A head in a master's file. `at`: when it came into it by that master's clock, RFC 3339. `where` the file was."""

    head: Head
    master: str
    at: str
    where: str


@dataclass(frozen=True)
class Refusal:
    master: str
    where: str
    broken: Break


@dataclass
class Known:
    """Of one log. `sources` are the masters whose files say something of it. `accepted`: an operator had it go on from what it
    was then, so earlier heads of that master's file don't count."""

    vouched: list[Vouched] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    sources: set[str] = field(default_factory=set)
    accepted: list[str] = field(default_factory=list)

    @property
    def heads(self) -> list[Head]:
        return [each.head for each in self.vouched]

    @property
    def refused(self) -> list[tuple[str, Break]]:
        """Which master refused what."""
        return [(each.master, each.broken) for each in self.refusals]

    def forget(self, master: str, where: str) -> None:
        """What one master said in one file. What others say of it is theirs."""
        own = (master, where)
        self.vouched = [one for one in self.vouched if (one.master, one.where) != own]
        self.refusals = [one for one in self.refusals if (one.master, one.where) != own]


@dataclass
class Heads:
    """By log. `silent`: which masters could not be asked, and why. `troubles`: what is wrong with the files of heads."""

    logs: dict[str, Known] = field(default_factory=dict)
    masters: set[str] = field(default_factory=set)
    silent: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)

    def of(self, log: str) -> Known:
        return self.logs.get(log) or Known()

    def take(self, where: str, lines: Iterable[bytes], log: str = "") -> None:
        """Lines of files of heads, of one master after the other; all of them, so that each has to follow the one before, or those that name one log,
        and only that one counts."""
        link: dict[str, str] = {}
        for number, line in enumerate(lines, 1):
            try:
                entry = parse(line)
            except InvalidInput as error:
                self.troubles.append(f"{where}:{number}: {error.message}")
                continue
            master = entry.content.master
            if not log and entry.prev != link.get(master, FIRST_LINK):
                what = "does not follow the one before" if master in link else NO_BEGINNING
                entry_of = f"entry {entry.content.number} of {master}"
                self.troubles.append(f"{where}:{number}: {entry_of} {what}")
            link[master] = entry.link
            self._count(entry, where, log)

    def ask(self, asked: Asked, log: str = "") -> None:
        """Each master that was named; without a name of a log about all. Who doesn't answer is named in `silent`."""
        try:
            for address, lines in asked_each(asked, log):
                try:
                    self.take(str(address), lines, log)
                except HullmarkError as error:
                    self.silent.append(error.message)
        except (Forbidden, NotFound) as error:  # no login for any
            self.silent.append(error.message)

    def _count(self, entry: Entry, where: str, only: str) -> None:
        content = entry.content
        self.masters.add(content.master)
        for acceptance in content.accepted:
            if only in ("", acceptance.log):
                known = self._known(acceptance.log, content.master)
                known.forget(content.master, where)
                known.accepted.append(f"{content.at} by {acceptance.by} at {content.master}")
        for signed in content.heads:
            if only in ("", signed.head.log):
                known = self._known(signed.head.log, content.master)
                known.vouched.append(Vouched(signed.head, content.master, content.at, where))
        for broken in content.refused:
            if only in ("", broken.head.log):
                known = self._known(broken.head.log, content.master)
                known.refusals.append(Refusal(content.master, where, broken))

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
                heads.take(name, (line.rstrip(b"\n") for line in file))
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
