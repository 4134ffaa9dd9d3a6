"""The way to a service as text: a line for each link, then the first that is broken and what to type."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hullmark.cli.table import wrapped
from hullmark.cli.words import one_line
from hullmark.core.whylinks import HOSTS_SHOWN
from hullmark.model.why import Found, Link, ServiceWhy, Step, Verdict, Why

WORDS = {Found.OK: "ok", Found.BROKEN: "BROKEN", Found.UNKNOWN: "unknown"}
WIDTH = max(len(step.value) for step in Step)
SAID = {
    Verdict.OK: "every link that can be seen is whole",
    Verdict.DEGRADED: "a part of the way is broken",
    Verdict.BROKEN: "the way is broken",
    Verdict.UNKNOWN: "not all of the way can be seen",
}


def lines(told: Why, columns: int) -> Iterator[str]:
    yield from _links(told.links, columns)
    for service in told.services:
        yield from _service(told, service, columns)
    if told.first:
        every = (*told.links, *(link for service in told.services for link in service.links))
        is_broken = any(link.found is Found.BROKEN for link in every)
        word = "First broken" if is_broken else "First to look at"
        yield from _titled(f"{word}: ", told.first, columns)
    if told.next:
        place = f", on {one_line(told.next_on)}" if told.next_on else ""
        yield f"Next{place}:  {one_line(told.next)}"  # whole, also where it is longer than a line


def _service(told: Why, service: ServiceWhy, columns: int) -> Iterator[str]:
    way = f"{told.caller} -> " if told.caller else ""
    yield f"{way}{told.app}/{service.service}  {service.verdict.value}: {SAID[service.verdict]}"
    yield from _links(service.links, columns)
    for hint in service.hints:
        yield from _titled("  note:   ", hint, columns)


def _links(links: Sequence[Link], columns: int) -> Iterator[str]:
    for link in links:
        head = f"  {WORDS[link.found]:<8}{link.step.value:<{WIDTH}}  "
        hosts = _hosts(link.hosts)
        text = f"{hosts}: {link.text}" if hosts else link.text
        yield from _titled(head, text, columns)


def _hosts(names: Sequence[str]) -> str:
    more = len(names) - HOSTS_SHOWN
    return ", ".join(names[:HOSTS_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _titled(title: str, text: str, columns: int) -> Iterator[str]:
    head, *rest = wrapped(one_line(text), columns, " " * len(title)) or [""]
    yield f"{title}{head.strip()}".rstrip()
    yield from rest
