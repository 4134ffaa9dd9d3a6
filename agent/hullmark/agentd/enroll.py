"""`agent enroll`: from an invite to a certificate of this host's own.

    token -> fetch the root, unverified -> its fingerprint is the invite's -> all else over verified TLS
    key made here -> signing request -> certificate -> files -> record, last

Nothing is used up before the disk was written to once, and the same token works again when an answer got lost, because the
key waits in the state folder.
"""

from __future__ import annotations

import email.utils
import errno
import http.client
import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Optional
from urllib.parse import urlsplit

from hullmark.agentd import certify, enrolment
from hullmark.agentd.enrolment import SET_CLOCK, Enrolment
from hullmark.errors import (
    BrokenState,
    Conflict,
    Forbidden,
    HullmarkError,
    InvalidInput,
    MasterUnavailable,
    Refused,
)
from hullmark.model.api import Authority, EnrollAnswer, EnrollRequest
from hullmark.model.host import HostFacts
from hullmark.model.wire import canonical, from_wire, to_wire
from hullmark.pki import certificates
from hullmark.pki.certificates import CLOCK_SKEW_S, Identity
from hullmark.pki.invites import Invite

TIMEOUT_S = 10.0
ANSWER_MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class Answer:
    """`data` is the JSON value, None for none. `at`: the master's clock in seconds since 1970, None: not told."""

    status: int
    data: Any
    at: Optional[float] = None


Ask = Callable[[str, str, str, Optional[bytes], str], Answer]
"""(master, method, path, body, root): one request; an empty root verifies nothing. Raises MasterUnavailable."""


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
    failures: list[str] = []
    for master in invite.masters:
        try:
            root_pem = _root(master, invite, ask, wall())
            body = canonical(to_wire(request))
            answer = ask(master, "POST", "/v1/enroll", body, root_pem)
            if answer.status == 421:
                raise MasterUnavailable(f"{master}: it does not lead")
            given = _answer(EnrollAnswer, answer, master)
        except MasterUnavailable as error:
            failures.append(error.message)
            continue
        return _installed(folder, host, given, invite.fingerprint, wall())
    raise MasterUnavailable(
        "no master of the invite answers: " + "; ".join(failures),
        remedy="check that a master runs there, and that nothing between blocks it; the invite is still good",
    )


def _prepared(folder: Path, host: str) -> str:
    """A signing request, for a key that is on the disk."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return certify.request_with(folder / certify.PENDING_KEY, host)
    except OSError as error:
        raise _unwritable(folder, error, "the invite was not used") from error


def _root(master: str, invite: Invite, ask: Ask, now: float) -> str:
    """The cluster's root as the master gives it, which must be the invite's."""
    answer = ask(master, "GET", "/v1/ca", None, "")
    root_pem: str = _answer(Authority, answer, master).root_pem
    try:
        root = certificates.load_chain(root_pem.encode(), master)[0]
    except BrokenState as error:
        raise MasterUnavailable(f"{master} answers with something else: {error.message}") from error
    if certificates.fingerprint(root) != invite.fingerprint.lower():
        raise Forbidden(
            f"{master} is not the master that made the invite, or something is between: its root has the "
            f"fingerprint {certificates.fingerprint(root)[:16]}..., the invite says {invite.fingerprint[:16]}...",
            remedy="do not go on before you know why; on the master: hullmark invite HOST",
        )
    if answer.at is not None and abs(now - answer.at) > CLOCK_SKEW_S:
        minutes, side = abs(now - answer.at) / 60, "ahead of" if now > answer.at else "behind"
        raise BrokenState(
            f"this host's clock is {minutes:.0f} min {side} the master's", remedy=SET_CLOCK
        )
    return root_pem


def _answer(kind: type[Any], answer: Answer, master: str) -> Any:
    """The answer, or the master's own "no" with its own words."""
    if answer.status == 200:
        try:
            return from_wire(kind, answer.data, ignore_unknown=True)
        except InvalidInput as error:
            raise MasterUnavailable(f"{master} answers with something else") from error
    said: Mapping[str, Any] = answer.data if isinstance(answer.data, dict) else {}
    message = str(said.get("message") or f"status {answer.status}")
    remedy = str(said.get("remedy") or "")
    if answer.status >= 500 or answer.status == 421:
        raise MasterUnavailable(f"{master}: {message}", remedy=remedy)
    raise Forbidden(f"{master} refuses: {message}", remedy=remedy)


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


def ask_over_tls(
    master: str, method: str, path: str, body: Optional[bytes], root_pem: str
) -> Answer:
    """An `Ask` over the network."""
    parts = urlsplit(master)
    connection = http.client.HTTPSConnection(
        parts.hostname or "", parts.port or 443, timeout=TIMEOUT_S, context=_context(root_pem)
    )
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        content = response.read(ANSWER_MAX_BYTES)
        date = response.getheader("Date")
    except ssl.SSLCertVerificationError as error:
        why = error.verify_message or str(error)
        remedy = SET_CLOCK if "valid" in why or "expired" in why else ""
        raise MasterUnavailable(f"{master}: its certificate: {why}", remedy=remedy) from error
    except (OSError, http.client.HTTPException) as error:
        text = str(error) or type(error).__name__
        raise MasterUnavailable(f"{master}: {text}") from error
    finally:
        connection.close()
    try:
        data = json.loads(content)
    except ValueError:
        data = None
    return Answer(response.status, data, _seconds(date))


def _context(root_pem: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if root_pem:
        context.load_verify_locations(cadata=root_pem)
    else:
        # For the root alone, which is then held against the invite's fingerprint.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _seconds(date: Optional[str]) -> Optional[float]:
    try:
        return email.utils.parsedate_to_datetime(date).timestamp() if date else None
    except (ValueError, TypeError):
        return None
