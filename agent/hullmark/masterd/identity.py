"""Who calls: each listener has one way to know, and nothing in a request can say otherwise.

Unix socket   the kernel's word on the peer (SO_PEERCRED, unix(7)), whose user has a role by `directory`. The
              name is that of the login (/proc/PID/loginuid), so that `sudo` does not hide who it was
API port      `Authorization: Bearer TOKEN`: a person's session, whose role is judged anew each time, or a
              machine's token, which is good from some networks only. The store has their hashes
agents' port  the one URI in the client certificate, which the cluster's authority gave. A master's is good for
              any person that the header `Hullmark-Person` names: that master knows who it is, by its own Unix socket
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from aiohttp import web

from hullmark.errors import BrokenState, Forbidden, HullmarkError
from hullmark.masterd.answers import NotLoggedIn
from hullmark.masterd.cluster import Cluster
from hullmark.masterd.credentials import replaced
from hullmark.masterd.directory import Directory
from hullmark.masterd.gate import peer_of
from hullmark.masterd.lines import line_of
from hullmark.masterd.refusals import enroll_again
from hullmark.model import jsontext
from hullmark.model.people import Role
from hullmark.model.records import SessionRecord, TokenRecord
from hullmark.pki.certificates import Identity
from hullmark.pki.invites import secret_hash

LOCAL = "local"
PERSON = "Hullmark-Person"
TOKEN_MAX_CHARACTERS = 512
MACHINE = "token:"
"""What the name of who is no human begins with; no user's name holds a colon."""
LOG_IN = (
    "on the master: `hullmark login`, or for automation `hullmark token create`;"
    " pass it as `Authorization: Bearer TOKEN`"
)
ANOTHER_ROLE = "ask somebody who may, or an administrator for that role; or use sudo on the master"
NO_ROLE = "an administrator gives roles in /etc/hullmark/master.yaml, under `roles`; or use sudo"

_NO_LOGIN = 0xFFFFFFFF


@dataclass(frozen=True)
class Caller:
    """`origin` is `local` or the address that the connection comes from. `host_id` is set for a host only, and
    `certificate_sha256` is that of the one which it showed.
    `uid` and `login_uid`: the peer's and its login's, on the Unix socket; `login_known`: the kernel keeps that login. `secret_sha256`: what a session or a
    token is kept by. `refusal`: why one who is known may do nothing."""

    who: str
    origin: str
    role: Optional[Role] = None
    host_id: str = ""
    certificate_sha256: str = ""
    human: bool = True
    user: str = ""
    uid: int = -1
    login_uid: int = -1
    login_known: bool = False
    secret_sha256: str = ""
    refusal: Optional[HullmarkError] = None
    peer: str = ""
    """The name of another master, where that one calls for itself."""


def may_not(caller: Caller, roles: frozenset[Role], what: str) -> Forbidden:
    """Why a person or a machine may not do something, which is for these roles."""
    *others, last = [role.value for role in Role if role in roles]
    needed = f"{', '.join(others)} or {last}" if others else last
    role = "no role" if caller.role is None else f"the role {caller.role.value}"
    return Forbidden(f"{caller.who} has {role}, and {what} needs {needed}", remedy=ANOTHER_ROLE)


def anyone(request: web.BaseRequest) -> Caller:
    return Caller("", origin_of(request))


def origin_of(request: web.BaseRequest) -> str:
    peer = _extra(request, "peername")
    return plain_address(str(peer[0])) if isinstance(peer, tuple) and peer else LOCAL


def plain_address(text: str) -> str:
    """An IPv4 address also where a dual-stack socket shows it as IPv6 (RFC 4291, 2.5.5.2); without a zone."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return text
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


async def local_person(
    request: web.BaseRequest, directory: Directory, proc: Path = Path("/proc")
) -> Caller:
    """Raises Unavailable where the system doesn't say who it is."""
    connection = _extra(request, "socket")
    if connection is None:
        raise ConnectionResetError("the connection is gone")
    pid, uid, _ = peer_of(connection)
    login = _login_uid(proc / str(pid) / "loginuid")
    person = await directory.person(uid)
    login_uid = uid if login is None else login
    name = person.name if login_uid == uid else await directory.name(login_uid)
    refusal = None
    if person.role is None:
        refusal = Forbidden(f"user {person.name} has no role here", remedy=NO_ROLE)
    return Caller(
        name,
        LOCAL,
        person.role,
        user=person.name,
        uid=uid,
        login_uid=login_uid,
        login_known=login is not None,
        refusal=refusal,
    )


def _login_uid(path: Path) -> Optional[int]:
    """The user id of the login that a process belongs to; None for a daemon's, or where it isn't kept."""
    try:
        uid = int(path.read_text())
    except (OSError, ValueError):
        return None
    return None if uid == _NO_LOGIN else uid


async def bearer(request: web.BaseRequest, cluster: Cluster, directory: Directory) -> Caller:
    """Raises NotLoggedIn for who is not known."""
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    secret = secret.strip()
    if scheme.lower() != "bearer" or not secret:
        raise NotLoggedIn("a login is needed here", remedy=LOG_IN)
    if len(secret) <= TOKEN_MAX_CHARACTERS and secret.isascii():
        key = secret_hash(secret)
        session, token = cluster.people.session(key), cluster.people.token(key)
        if session is not None:
            return await _of_session(session, origin_of(request), key, directory)
        if token is not None:
            return _of_token(token, origin_of(request), key, cluster)
    raise NotLoggedIn("this login is not known, or it has expired", remedy=LOG_IN)


async def _of_session(
    session: SessionRecord, origin: str, key: str, directory: Directory
) -> Caller:
    """Judged as at the login: who lost the role, or is no user any more, loses the session with it."""
    person = await directory.person(session.uid)
    same = person.name == session.user
    if session.login_uid != session.uid:
        same = same and await directory.name(session.login_uid) == session.who
    refusal: Optional[HullmarkError] = None
    if not same:
        refusal = NotLoggedIn("the user of this login is not there any more", remedy=LOG_IN)
    elif person.role is None:
        refusal = Forbidden(f"user {person.name} has no role here any more", remedy=NO_ROLE)
    return Caller(
        session.who,
        origin,
        person.role,
        user=session.user,
        uid=session.uid,
        login_uid=session.login_uid,
        login_known=session.login_known,
        secret_sha256=key,
        refusal=refusal,
    )


def _of_token(token: TokenRecord, origin: str, key: str, cluster: Cluster) -> Caller:
    refusal: Optional[HullmarkError] = None
    role = next((each for each in Role if each.value == token.role), None)
    if not cluster.people.holds(key):
        refusal = NotLoggedIn("this token has expired", remedy=LOG_IN)
    elif not _is_from(origin, token.networks):
        # Which ones it is for would help only who took it.
        refusal = Forbidden(
            f"token {token.name} is not for use from {origin}",
            remedy="use it where it was made for, or make one for there: hullmark token create",
        )
    elif role is None:  # a newer master made it
        refusal = Forbidden(
            f"token {token.name} has the role {token.role}, which is not known here",
            remedy="make another one: hullmark token create",
        )
    else:
        cluster.people.used(key)
    return Caller(
        MACHINE + token.name,
        origin,
        role,
        human=False,
        secret_sha256=key,
        refusal=refusal,
    )


def _is_from(origin: str, networks: tuple[str, ...]) -> bool:
    if not networks:
        return True
    try:
        address = ipaddress.ip_address(origin)
    except ValueError:
        return False
    return any(address in ipaddress.ip_network(network) for network in networks)


async def calling_host(request: web.BaseRequest, cluster: Cluster, cluster_id: str) -> Caller:
    """Raises Forbidden for a certificate of another cluster, of a master, or of a host that is not enrolled. The
    caller has a `refusal` where its certificate is worth nothing any more."""
    try:
        identity = certificate_identity(_extra(request, "peercert") or {})
    except BrokenState as error:
        raise Forbidden(error.message) from error
    if identity.kind != "host" or identity.cluster_id != cluster_id:
        raise Forbidden(
            "this certificate is not one of a host of this cluster", remedy=enroll_again()
        )
    record, credentials = cluster.host(identity.name), cluster.credentials
    sha256, origin = _certificate_sha256(request), origin_of(request)
    if record is None:  # removed, or the store is an older copy
        why = f"host {identity.name} is not enrolled here"
        credentials.refused(identity.name, identity.name, origin, why)
        raise Forbidden(why, remedy=enroll_again())
    refusal = None
    line = line_of(request, origin, credentials.clock())
    if not credentials.is_worth(record, sha256, line):
        refusal = replaced(record)
        credentials.refused(record.host_id, record.name, origin, refusal.message)
    return Caller(
        record.name,
        origin,
        host_id=record.host_id,
        certificate_sha256=sha256,
        refusal=refusal,
    )


def known_host(request: web.BaseRequest) -> str:
    """The id of the host whose certificate the caller shows, empty where it shows another's. Whether that is worth anything still
    is not looked at: nothing is answered by it."""
    try:
        identity = certificate_identity(_extra(request, "peercert") or {})
    except BrokenState:
        return ""
    return identity.name if identity.kind == "host" else ""


def is_master(request: web.BaseRequest, cluster_id: str) -> bool:
    """Whether who calls shows the certificate of a master of this cluster."""
    return bool(_master_of(request, cluster_id))


def _master_of(request: web.BaseRequest, cluster_id: str) -> str:
    """Its name; empty for anybody else."""
    try:
        identity = certificate_identity(_extra(request, "peercert") or {})
    except BrokenState:
        return ""
    ours = identity.kind == "master" and identity.cluster_id == cluster_id
    return identity.name if ours else ""


async def calling_daemon(request: web.BaseRequest, cluster: Cluster, cluster_id: str) -> Caller:
    """A host, or another master for itself. Raises as `calling_host` does."""
    master = _master_of(request, cluster_id)
    if not master:
        return await calling_host(request, cluster, cluster_id)
    return Caller(
        f"master {master}",
        origin_of(request),
        certificate_sha256=_certificate_sha256(request),
        human=False,
        peer=master,
    )


def about(caller: Caller) -> str:
    """What a header says of a person on this machine, for the leader."""
    return json.dumps(
        {
            "who": caller.who,
            "role": "" if caller.role is None else caller.role.value,
            "user": caller.user,
            "uid": caller.uid,
            "login_uid": caller.login_uid,
            "login_known": caller.login_known,
        }
    )


async def forwarded_person(request: web.BaseRequest, cluster_id: str) -> Caller:
    """Whom another master names. Raises Forbidden where it isn't a master that does, or says nothing that can be read."""
    master = _master_of(request, cluster_id)
    try:
        said = jsontext.loads(request.headers.get(PERSON, ""))
        caller = Caller(
            str(said["who"]),
            f"{LOCAL} on {master}",
            Role(said["role"]),
            user=str(said["user"]),
            uid=int(said["uid"]),
            login_uid=int(said["login_uid"]),
            login_known=said.get("login_known") is True,
        )
    except (ValueError, TypeError, LookupError) as error:
        raise Forbidden(f"master {master[:64]} does not say who asks") from error
    if not master or not caller.who:
        raise Forbidden("only another master can speak for a person here")
    return caller


def _certificate_sha256(request: web.BaseRequest) -> str:
    """Of the certificate that TLS has verified, as the store keeps it."""
    return hashlib.sha256(certificate_der(request)).hexdigest()


def certificate_der(request: web.BaseRequest) -> bytes:
    """The certificate that TLS has verified."""
    connection = _extra(request, "ssl_object")
    der: Optional[bytes] = None if connection is None else connection.getpeercert(binary_form=True)
    if der is None:
        raise ConnectionResetError("the connection is gone")
    return der


def certificate_identity(peer: Mapping[str, Any]) -> Identity:
    """Of a verified certificate as `ssl` shows it. Raises BrokenState where it isn't one of ours."""
    names = peer.get("subjectAltName", ())
    uris = [value for kind, value in names if kind == "URI"]
    if len(uris) != 1:
        raise BrokenState("the certificate does not name exactly one holder")
    return Identity.parse(uris[0])


def _extra(request: web.BaseRequest, name: str) -> Any:
    transport = request.transport
    return None if transport is None else transport.get_extra_info(name)
