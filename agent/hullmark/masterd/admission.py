"""Which hosts may come in: invites, and the hosts that use them."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping
from typing import Callable, Optional

from hullmark.errors import Conflict, Forbidden, InvalidInput, Problem
from hullmark.masterd import riding
from hullmark.masterd.credentials import is_good, replaced
from hullmark.masterd.events import Tell
from hullmark.masterd.leadership import Leadership
from hullmark.masterd.refusals import not_enrolled
from hullmark.masterd.view import View, encode
from hullmark.model.api import InviteRequest
from hullmark.model.change import Change
from hullmark.model.host import HostRecord
from hullmark.model.names import HOST_NAME, HOSTS, INVITES
from hullmark.model.records import InviteRecord
from hullmark.pki.invites import HOST
from hullmark.store.protocol import Compare, Put

INVITE_MIN_S = 1.0
INVITE_MAX_S = 7 * 86400.0
LABELS_MAX = 64
LABEL_MAX_CHARACTERS = 256

MakeHost = Callable[[InviteRecord, Optional[HostRecord]], HostRecord]
"""(the invite, the host of that name if there is one) to the record to keep. What it raises ends the
enrolment with nothing written. A host that exists keeps its host id."""


class Admission:
    """`one_at_a_time` keeps enrolments apart: two with one invite can't both get in."""

    def __init__(
        self,
        leadership: Leadership,
        view: View,
        one_at_a_time: asyncio.Lock,
        wall: Callable[[], float],
        tell: Tell,
    ) -> None:
        self._leadership = leadership
        self._view = view
        self._one_at_a_time = one_at_a_time
        self._wall = wall
        self._tell = tell

    async def invite(
        self, request: InviteRequest, secret_sha256: str, change: Change
    ) -> InviteRecord:
        """Open an invite. One for a host that is enrolled lets it enroll again under its host id."""
        problems = list(_invite_problems(request))
        if problems:
            raise InvalidInput(problems)
        now = self._wall()
        record = InviteRecord(
            request.host, now, now + request.valid_s, change.by, labels=request.labels
        )
        key = INVITES + secret_sha256
        compares, writes = riding.aboard([Compare(key, 0)], [Put(key, encode(record))])
        done = await self._leadership.commit(compares, writes)
        if not done.succeeded:
            raise Conflict("this secret was given out before", remedy="ask for another invite")
        riding.arrived()
        self._tell("host.invited", f"host {request.host}", change, {})
        return record

    def invited(self) -> tuple[str, ...]:
        """Hosts with an invite that can still be used and was not, and that are not enrolled."""
        now = self._wall()
        enrolled = {host.name for host in self._view.hosts.values()}
        invites = self._view.invites.values()
        open_ones = (one for one in invites if not one.used_at and now < one.expires_at)
        names = {one.host for one in open_ones if one.kind == HOST}
        return tuple(sorted(names - enrolled))

    async def enroll(
        self, secret_sha256: str, host: str, make_host: MakeHost, key_sha256: str
    ) -> HostRecord:
        """Use an invite, and keep the host's record, in one transaction."""
        async with self._one_at_a_time:
            invite = self._usable(secret_sha256, host, key_sha256)
            existing = next((item for item in self._view.hosts.values() if item.name == host), None)
            record = make_host(invite, existing)
            if record.name != host or (existing and record.host_id != existing.host_id):
                raise Conflict(f"host {host} can't become {record.name} ({record.host_id})")
            if existing is not None:
                record = _again(record, existing)
            invite_key, host_key = INVITES + secret_sha256, HOSTS + record.host_id
            used = dataclasses.replace(invite, used_at=self._wall(), key_sha256=key_sha256)
            done = await self._leadership.commit(
                [
                    Compare(invite_key, self._view.modified(invite_key)),
                    Compare(host_key, self._view.modified(host_key)),
                ],
                [Put(invite_key, encode(used)), Put(host_key, encode(record))],
            )
            if not done.succeeded:
                raise Conflict("the invite was used at the same moment", remedy="ask for another")
        change = Change(invite.by, "", record.enrolled_at)
        again = {"again": "yes"} if existing else {}
        self._tell("host.enrolled", f"host {host}", change, {"host_id": record.host_id, **again})
        return record

    def _usable(self, secret_sha256: str, host: str, key_sha256: str) -> InviteRecord:
        """The invite. What is wrong with it is told only to one who knows its secret."""
        invite = self._view.invites.get(secret_sha256)
        remedy = f"hullmark invite {host}   (on a master)"
        if invite is None or invite.kind != HOST:
            raise Forbidden("this invite is not known here", remedy=remedy)
        if invite.host != host:
            raise Forbidden(f"this invite is for host {invite.host}, not for {host}", remedy=remedy)
        if self._wall() > invite.expires_at:
            raise Forbidden("this invite has expired", remedy=remedy)
        repeat = bool(key_sha256) and invite.key_sha256 == key_sha256
        if invite.used_at and not repeat:
            raise Forbidden("this invite was used already", remedy=remedy)
        return invite

    async def renew(
        self, host_id: str, certificate_sha256: str, change: Change, *, used_sha256: str = ""
    ) -> HostRecord:
        """The host has a newer certificate. The one with which it asked (`used_sha256`) holds until the newest is
        used: also where an answer before this one was lost. Raises NotFound for one that isn't enrolled, Forbidden
        where that one was replaced meanwhile."""
        async with self._one_at_a_time:
            record = self._view.hosts.get(host_id)
            if record is None:
                raise not_enrolled(host_id)
            if used_sha256 and not is_good(record, used_sha256):
                raise replaced(record)
            renewed = dataclasses.replace(
                record, certificate_sha256=certificate_sha256, former_sha256=used_sha256
            )
            key = HOSTS + host_id
            compare = Compare(key, self._view.modified(key))
            done = await self._leadership.commit([compare], [Put(key, encode(renewed))])
            if not done.succeeded:
                raise Conflict(
                    f"host {record.name} was changed at the same moment", remedy="ask again"
                )
        fields = {"certificate_sha256": certificate_sha256}
        self._tell("host.certificate-renewed", f"host {record.name}", change, fields)
        return renewed


def _again(record: HostRecord, existing: HostRecord) -> HostRecord:
    """What was said of a host holds on; an invite may add labels. No former certificate is good any more."""
    return dataclasses.replace(
        existing,
        enrolled_at=record.enrolled_at,
        labels={**existing.labels, **record.labels},
        certificate_sha256=record.certificate_sha256,
        former_sha256="",
    )


def _invite_problems(request: InviteRequest) -> list[Problem]:
    found = []
    if not HOST_NAME.fullmatch(request.host) or len(request.host) > 253:
        allowed = "letters a to z, digits and -, in parts with dots between"
        found.append(Problem(f"{request.host!r} is not a host name", field="host", allowed=allowed))
    if not INVITE_MIN_S <= request.valid_s <= INVITE_MAX_S:
        allowed = f"{INVITE_MIN_S:.0f} to {INVITE_MAX_S:.0f} seconds"
        found.append(Problem(f"{request.valid_s:.0f} s", field="valid_s", allowed=allowed))
    return found + label_problems(request.labels)


def invites_of(view: View, host: str, now: float, most: int) -> Mapping[str, bool]:
    """By key whether it was used: one that was may be used again with the same host key until it expires. Open ones
    come first; more than `most` are never there in practice, and the rest expires."""
    found = [
        (bool(one.used_at), INVITES + key)
        for key, one in view.invites.items()
        if one.host == host and one.kind == HOST and now <= one.expires_at
    ]
    return {key: used for used, key in sorted(found)[:most]}


def label_problems(labels: Mapping[str, str]) -> list[Problem]:
    """What is wrong with a host's labels."""
    found = []
    if len(labels) > LABELS_MAX:
        allowed = f"at most {LABELS_MAX}"
        found.append(Problem(f"{len(labels)} labels", field="labels", allowed=allowed))
    for key, value in labels.items():
        readable = key.isprintable() and value.isprintable() and " " not in key
        if not key or "=" in key or not readable or len(key) + len(value) > LABEL_MAX_CHARACTERS:
            allowed = (
                f"KEY=VALUE with at most {LABEL_MAX_CHARACTERS} characters, without spaces in KEY"
            )
            found.append(Problem("not a label", field=f"labels.{key[:60]}", allowed=allowed))
    return found
