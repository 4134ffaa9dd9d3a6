"""One service as the directories of all hosts have it: nearly the same everywhere, so that its digests and texts are made once.

With some hundred hosts and a thousand services everything that is done for each pair of them counts: a line is kept for as long as nothing of its
service changes, and most hosts share its bytes.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Union

from hullmark.core.askers import ALL_BITS, scopes
from hullmark.model.directory import (
    Admission,
    OtherEntry,
    Peer,
    PublishedEntry,
    ServiceEntry,
    Share,
)
from hullmark.model.wire import canonical, to_wire

Specs = tuple[tuple[int, str, int], ...]
"""Published ports of one service: port, address, port of its containers."""
_ADMISSION = '{{"host_id":{},"name":{},"scopes":{}}}'
_SCOPES_TEXT = [canonical(list(scopes(bits))).decode() for bits in range(ALL_BITS + 1)]


@dataclass(frozen=True)
class Line:
    """`entry` has nothing elsewhere yet: `shares` are those of all hosts. `askers`: by host id, see `askers`. `homes`: hosts that have instances of it, which
    others may ask for it. `published`: what each host's proxy answers for it."""

    entry: ServiceEntry
    shares: tuple[Share, ...]
    askers: Mapping[str, int]
    homes: frozenset[str]
    published: Mapping[str, Specs]

    def entry_for(self, host_id: str) -> ServiceEntry:
        elsewhere = tuple(share for share in self.shares if share.host_id != host_id)
        return replace(self.entry, elsewhere=elsewhere)

    def published_for(self, host_id: str) -> list[PublishedEntry]:
        name = self.entry.name
        return [
            PublishedEntry(*spec[:2], name, spec[2]) for spec in self.published.get(host_id, ())
        ]

    def admissions_for(self, host_id: str) -> list[Admission]:
        if host_id not in self.homes:
            return []
        name = self.entry.name
        return [
            Admission(asker, name, scopes(bits))
            for asker, bits in sorted(self.askers.items())
            if asker != host_id
        ]

    def admission_texts_for(self, host_id: str) -> list[str]:
        """The same, each as JSON."""
        if host_id not in self.homes:
            return []
        return [text for asker, text in self._admission_texts if asker != host_id]

    def text_for(self, host_id: str) -> str:
        """The entry as JSON."""
        if host_id in self._sharing:
            return _text(self.entry_for(host_id))
        return self._whole_text

    @functools.cached_property
    def other(self) -> tuple[OtherEntry, ...]:
        """What a host is told that has nothing to do with it; nothing of a service without ports."""
        entry = self.entry
        return (OtherEntry(entry.name, entry.address, entry.ports),) if entry.ports else ()

    @functools.cached_property
    def other_texts(self) -> Sequence[str]:
        """The same, each as JSON."""
        return [canonical(to_wire(one)).decode() for one in self.other]

    @functools.cached_property
    def other_number(self) -> int:
        """What it adds to the digest of such a host."""
        return sum(map(number_of, self.other))

    @functools.cached_property
    def chunks(self) -> Mapping[str, bytes]:
        """What the line adds to the digest of each host that has it."""
        others: dict[Specs, bytes] = {}
        found = {}
        for host_id in self.askers:
            specs = self.published.get(host_id, ())
            if host_id in self._sharing or host_id in self.homes:
                found[host_id] = self._chunk(host_id, specs)
                continue
            if specs not in others:
                others[specs] = self._chunk(host_id, specs)
            found[host_id] = others[specs]
        return found

    def _chunk(self, host_id: str, specs: Specs) -> bytes:
        made = _of_entry(self._base, (one for one in self.shares if one.host_id != host_id))
        made += _of_published(specs)
        if host_id not in self.homes:
            return made
        told = [text for asker, text in self._asker_texts if asker != host_id]
        return made + _of_admissions(told)

    @functools.cached_property
    def _base(self) -> bytes:
        return base_of(self.entry)

    @functools.cached_property
    def _sharing(self) -> frozenset[str]:
        return frozenset(share.host_id for share in self.shares)

    @functools.cached_property
    def _whole_text(self) -> str:
        return _text(self.entry_for(""))

    @functools.cached_property
    def _admission_texts(self) -> Sequence[tuple[str, str]]:
        name = canonical(to_wire(self.entry.name)).decode()
        return [
            (asker, _ADMISSION.format(canonical(asker).decode(), name, _SCOPES_TEXT[bits]))
            for asker, bits in sorted(self.askers.items())
        ]

    @functools.cached_property
    def _asker_texts(self) -> Sequence[tuple[str, str]]:
        return [
            (asker, _asker_text(asker, scopes(bits))) for asker, bits in sorted(self.askers.items())
        ]


def chunk_of(
    entry: ServiceEntry, published: Iterable[PublishedEntry], admissions: Iterable[Admission]
) -> bytes:
    """The same from what a host has: of one service."""
    specs = tuple((one.port, one.host_ip, one.target) for one in published)
    told = [_asker_text(one.host_id, one.scopes) for one in admissions]
    made = _of_entry(base_of(replace(entry, elsewhere=())), entry.elsewhere)
    return made + _of_published(specs) + _of_admissions(told)


def number_of(one: Union[Peer, OtherEntry]) -> int:
    """A digest as a number: those of a set are added up, so that one can be taken out of all without looking at the others."""
    return int.from_bytes(hashlib.sha256(canonical(to_wire(one))).digest(), "big")


def base_of(entry: ServiceEntry) -> bytes:
    """Of all of an entry but where else its service is."""
    return hashlib.sha256(canonical(to_wire(entry))).digest()


def _of_entry(base: bytes, elsewhere: Iterable[Share]) -> bytes:
    told = ",".join(f"{share.host_id}={share.serving}" for share in elsewhere)
    return b"s" + hashlib.sha256(base + told.encode()).digest()


def _of_published(specs: Specs) -> bytes:
    if not specs:
        return b""
    return b"p" + hashlib.sha256(json.dumps(specs).encode()).digest()


def _of_admissions(told: Sequence[str]) -> bytes:
    if not told:
        return b""
    return b"a" + hashlib.sha256(",".join(told).encode()).digest()


def _asker_text(host_id: str, asking: tuple[str, ...]) -> str:
    return f"{host_id}={'+'.join(asking)}"


def _text(entry: ServiceEntry) -> str:
    return canonical(to_wire(entry)).decode()
