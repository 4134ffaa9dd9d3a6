"""Links as they are gathered on the way to a service, and what they come to."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence

from hullmark.model.why import Found, Link, Step, Verdict

ORDER = {step: number for number, step in enumerate(Step)}
WORST_FIRST = (Verdict.BROKEN, Verdict.DEGRADED, Verdict.UNKNOWN, Verdict.OK)


def ok(step: Step, text: str, *hosts: str) -> Link:
    return Link(step, Found.OK, text, hosts=hosts)


def unknown(step: Step, text: str, then: str = "", *hosts: str, there: bool = False) -> Link:
    return Link(step, Found.UNKNOWN, text, then, hosts, there)


def broken(step: Step, text: str, then: str = "", *hosts: str, there: bool = False) -> Link:
    return Link(step, Found.BROKEN, text, then, hosts, there)


def together(links: Iterable[Link]) -> tuple[Link, ...]:
    """In the order in which they are walked; what is said of several hosts in the same words is one link."""
    found: dict[Link, dict[str, None]] = {}
    for link in links:
        alike = dataclasses.replace(link, hosts=())
        found.setdefault(alike, {}).update(dict.fromkeys(link.hosts))
    merged = [_merged(link, sorted(hosts)) for link, hosts in found.items()]
    return tuple(sorted(merged, key=lambda link: ORDER[link.step]))


def _merged(link: Link, hosts: Sequence[str]) -> Link:
    place = hosts[0] if link.there and link.next and hosts else link.next_on
    return dataclasses.replace(link, hosts=tuple(hosts), next_on=place)


def partly(links: Iterable[Link], is_part: Callable[[Link], bool]) -> tuple[Link, ...]:
    """The same links, those that are broken only in part marked as such."""
    return tuple(
        dataclasses.replace(link, partly=True)
        if link.found is Found.BROKEN and is_part(link)
        else link
        for link in links
    )


def verdict(links: Sequence[Link]) -> Verdict:
    """What is known to be broken outweighs what nobody knows."""
    hurt = [link for link in links if link.found is Found.BROKEN]
    if hurt:
        return Verdict.DEGRADED if all(link.partly for link in hurt) else Verdict.BROKEN
    return Verdict.UNKNOWN if any(link.found is Found.UNKNOWN for link in links) else Verdict.OK


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    return min(verdicts, key=WORST_FIRST.index, default=Verdict.OK)


def first_broken(links: Iterable[Link]) -> tuple[str, str, str]:
    """The first link that is broken, or else the first that is unknown, as one line; what to type, and on which host. Empty where all are whole."""
    known = sorted(links, key=lambda link: ORDER[link.step])
    for wanted in (Found.BROKEN, Found.UNKNOWN):
        for link in known:
            if link.found is wanted:
                return line(link), link.next, link.next_on
    return "", "", ""


HOSTS_SHOWN = 4


def line(link: Link) -> str:
    return f"{link.step.value}{_where(link)}: {link.text}"


def _where(link: Link) -> str:
    more = len(link.hosts) - HOSTS_SHOWN
    names = ", ".join(link.hosts[:HOSTS_SHOWN])
    return f" of {names}{f' and {more} more' if more > 0 else ''}" if names else ""
