"""What a daemon knows of a master that seals its heads, and what follows from that master's answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Optional

from hullmark.core.headsfile import NOTHING_KNOWN, Known, extends
from hullmark.model.audit import Head, Seal, SignedHead
from hullmark.model.protocol import HeadAnswer, HeadOffer


@dataclass(frozen=True)
class Relation:
    """`known`: the newest entry of the master's file of heads that was proven. `seal`: the last one of it. `rolled_back`: why the
    master is not believed, until it shows a file that extends what is known, or a person has looked into it. `under_way`: how far
    digests lead that were answered without a seal. `incarnation`: the cluster's, when the seal was given."""

    known: Known = NOTHING_KNOWN
    seal: Optional[Seal] = None
    rolled_back: str = ""
    under_way: Known = NOTHING_KNOWN
    incarnation: int = 0

    def has_sealed(self, head: Head) -> bool:
        sealed = None if self.seal is None else self.seal.head
        return sealed is not None and (sealed.seq, sealed.hash) == (head.seq, head.hash)


@dataclass(frozen=True)
class Seals:
    """By the masters' names: what a daemon keeps on its disk."""

    masters: Mapping[str, Relation] = field(default_factory=dict)

    def of(self, master: str) -> Relation:
        return self.masters.get(master, Relation())

    def put(self, master: str, relation: Relation) -> Seals:
        """What is only under way is not kept."""
        kept = dataclasses.replace(relation, under_way=NOTHING_KNOWN)
        return Seals({**self.masters, master: kept})


def offer(relation: Relation, signed: SignedHead) -> HeadOffer:
    known = relation.under_way if relation.under_way.number else relation.known
    return HeadOffer(signed, known.number, known.link)


def answered(relation: Relation, signed: SignedHead, answer: HeadAnswer) -> Relation:
    """What is known after the answer to `offer`, which was no refusal. Without a seal in it the same head is offered again."""
    since = relation.under_way if relation.under_way.number else relation.known
    now, why = extends(since, answer.links, answer.seal)
    seal = answer.seal
    if seal is not None and not why and seal.head != signed.head:
        why = "it sealed another head than the one that it was offered"
    if not why and seal is None and not answer.links:
        why = "it says neither what it sealed nor how its file of heads goes on"
    if why:
        return dataclasses.replace(relation, rolled_back=why, under_way=NOTHING_KNOWN)
    if seal is None:
        return dataclasses.replace(relation, under_way=now)
    return Relation(now, seal, "", incarnation=relation.incarnation)
