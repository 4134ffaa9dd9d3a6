"""`agent enroll`: from an invite to a certificate of this host's own.

    token -> fetch the root, unverified -> its fingerprint is the invite's -> all else over verified TLS
    key made here -> signing request -> certificate -> files -> record, last

Nothing is used up before the disk was written to once, and the same token works again when an answer got lost, because the
key waits in the state folder.
"""

from __future__ import annotations

import errno
import time
from pathlib import Path
from typing import Callable

from hullmark.agentd import certify, enrolment
from hullmark.agentd.enrolment import Enrolment
from hullmark.errors import (
    BrokenState,
    Conflict,
    HullmarkError,
    Refused,
)
from hullmark.model.api import EnrollAnswer, EnrollRequest
from hullmark.model.host import HostFacts
from hullmark.model.wire import canonical, to_wire
from hullmark.pki import asking, certificates
from hullmark.pki.asking import Ask
from hullmark.pki.certificates import Identity
from hullmark.pki.invites import Invite


def enroll(
    folder: Path,
    invite: Invite,
    host: str,
    facts: HostFacts,
    *,
    ask: Ask,
    wall: Callable[[], float] = time.time,
) -> Enrolment:
    """Raises HullmarkError, saying what to do next. May be repeated with the same invite."""
    if host != invite.host:
        raise Conflict(
            f"the invite is for host {invite.host}, and this host is {host}",
            remedy=f"on a master: hullmark invite {host}; or here, in agent.yaml: host_name: {invite.host}",
        )
    csr_pem = _prepared(folder, host)
    request = EnrollRequest(host, invite.secret, csr_pem, facts)
    body = canonical(to_wire(request))
    given = asking.of_leader(EnrollAnswer, invite, "/v1/enroll", body, ask, wall())
    return _installed(folder, host, given, invite.fingerprint, wall())


def _prepared(folder: Path, host: str) -> str:
    """A signing request, for a key that is on the disk."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return certify.request_with(folder / certify.PENDING_KEY, host)
    except OSError as error:
        raise _unwritable(folder, error, "the invite was not used") from error


def _installed(
    folder: Path, host: str, given: EnrollAnswer, fingerprint: str, now: float
) -> Enrolment:
    root = certificates.load_chain(given.root_pem.encode(), "the master's answer")[0]
    if certificates.fingerprint(root) != fingerprint.lower():
        raise BrokenState("the master's answer: its root is not the invite's")
    identity = Identity(given.cluster_id, "host", given.host_id)
    first, last = certify.check(
        given.chain_pem, given.root_pem, folder / certify.PENDING_KEY, identity
    )
    enrolled = Enrolment(
        given.cluster_id,
        given.host_id,
        host,
        given.masters,
        first,
        last,
        pair=_free_pair(folder),
    )
    try:
        certify.install(folder, enrolled, given.chain_pem, given.root_pem)
    except OSError as error:
        raise _unwritable(folder, error, "then repeat this with the same token") from error
    enrolment.check_validity(enrolled, now)
    return enrolled


def _free_pair(folder: Path) -> str:
    """Not the one in use, if there is one: that stays whole until the record names the new one."""
    try:
        return certify.next_pair(enrolment.read(folder).pair)
    except HullmarkError:
        return enrolment.FIRST_PAIR


def _unwritable(folder: Path, error: OSError, then: str) -> Refused:
    remedy = f"make {folder} writable for this user; {then}"
    if error.errno == errno.ENOSPC:
        remedy = f"free space: df {folder}; {then}"
    return Refused(f"{error.filename or folder}: {error.strerror or error}", remedy=remedy)
