"""Incidents: outages of one function whose times touch, on however many hosts.

An outage stays in its incident. Where a later one bridges two, they become the one with the lower number; the other stays as an empty one
that says where it went (`merged_into`), so that a number that somebody noted is found. Planned outages are apart from others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from hullmark.model.incidentapi import IncidentView
from hullmark.model.outage import NOTES, Incident, Note, Outage

TOUCH_S = 600.0
MOST = 500
"""Outages of one incident; more are another incident's, so that each fits its place."""


@dataclass(frozen=True)
class _Piece:
    """An incident that is known, or an outage that belongs to none yet."""

    began: float
    ended: float
    name: str
    incident: Incident
    size: int = 1


def fold(
    incidents: Mapping[int, Incident], outages: Iterable[Outage], now: float, *, last: int = 0
) -> Mapping[int, Incident]:
    """All incidents, with what these outages are now. `last` is the highest number that was ever given."""
    found = dict(incidents)
    homes = {name: one.number for one in found.values() for name in one.outages}
    strays = []
    for outage in sorted(outages, key=lambda one: (one.began, one.outage_id)):
        number = homes.get(outage.outage_id)
        if number is None:
            strays.append(outage)
        else:
            known = found[number].outages[outage.outage_id]
            updated = replace(outage, planned=known.planned, ticket=known.ticket)
            if updated != known:
                there = {**found[number].outages, outage.outage_id: updated}
                found[number] = replace(found[number], outages=there)
    number = max([last, *found])
    for cluster in _clusters(found.values(), strays, now):
        known_ones = sorted(piece.incident.number for piece in cluster if piece.incident.number)
        if not known_ones:
            number += 1
        target = known_ones[0] if known_ones else number
        if len(cluster) > 1 or not known_ones:
            found.update(_joined(target, [piece.incident for piece in cluster]))
    return found


def _clusters(
    incidents: Iterable[Incident], strays: Iterable[Outage], now: float
) -> list[list[_Piece]]:
    """What touches, together; in the order of the beginnings."""
    pieces = [
        _Piece(one.began, one.ended or now, "", one, len(one.outages))
        for one in incidents
        if one.outages
    ]
    for outage in strays:
        alone = Incident(0, outage.function, {outage.outage_id: outage})
        pieces.append(_Piece(outage.began, outage.ended or now, outage.outage_id, alone))
    open_ones: dict[tuple[str, bool], list[_Piece]] = {}
    found = []
    for piece in sorted(pieces, key=lambda one: (one.began, one.incident.number, one.name)):
        group = (piece.incident.function, piece.incident.planned)
        cluster = open_ones.get(group)
        if cluster is None or not _fits(cluster, piece):
            cluster = open_ones[group] = []
            found.append(cluster)
        cluster.append(piece)
    return found


def _fits(cluster: list[_Piece], piece: _Piece) -> bool:
    ends = max(one.ended for one in cluster)
    return piece.began - ends <= TOUCH_S and sum(one.size for one in cluster) + piece.size <= MOST


def _joined(target: int, parts: list[Incident]) -> Mapping[int, Incident]:
    """One incident of them all, and those that are part of it now."""
    outages: dict[str, Outage] = {}
    notes: list[Note] = []
    for part in parts:
        outages.update(part.outages)
        notes.extend(part.notes)
    acknowledged = [one for one in parts if one.acknowledged_at]
    first = min(acknowledged, key=lambda one: one.acknowledged_at, default=None)
    whole = Incident(
        target,
        parts[0].function,
        outages,
        acknowledged_by="" if first is None else first.acknowledged_by,
        acknowledged_at=0.0 if first is None else first.acknowledged_at,
        notes=tuple(sorted(dict.fromkeys(notes), key=lambda one: one.at)),
    )
    gone = (one.number for one in parts if one.number not in (0, target))
    return {
        target: whole,
        **{number: Incident(number, whole.function, merged_into=target) for number in gone},
    }


def state(incident: Incident) -> str:
    """One word: where it stands on its way from open to complete."""
    if incident.merged_into:
        return "merged"
    if not incident.ended:
        return "acknowledged" if incident.acknowledged_at else "open"
    return "recovered" if missing(incident) else "complete"


def missing(incident: Incident) -> tuple[str, ...]:
    """Of what PCI DSS 10.7.3 asks, what nobody has told yet: `end` while it lasts, then topics of NOTES."""
    told = {note.topic for note in incident.notes}
    return (*(() if incident.ended else ("end",)), *(one for one in NOTES if one not in told))


def view(incident: Incident) -> IncidentView:
    outages = sorted(incident.outages.values(), key=lambda one: (one.began, one.outage_id))
    return IncidentView(
        incident.number,
        incident.function,
        state(incident),
        incident.began,
        incident.ended,
        incident.planned,
        incident.acknowledged_by,
        incident.acknowledged_at,
        tuple(outages),
        incident.notes,
        () if incident.merged_into else missing(incident),
        incident.merged_into,
    )
