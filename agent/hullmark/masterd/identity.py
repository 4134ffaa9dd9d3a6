"""Who calls: each listener has one way to know, and nothing in a request can say otherwise.

Unix socket   the kernel's word on the peer (SO_PEERCRED, unix(7)): root, or the master's own user. The
              name is that of the login (/proc/PID/loginuid), so that `sudo` does not hide who it was
API port      `Authorization: Bearer TOKEN`, a session's token, kept by its hash
agents' port  the one URI in the client certificate, which the cluster's authority gave
"""

from __future__ import annotations

import os
import pwd
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from aiohttp import web

from hullmark.errors import BrokenState, Forbidden
from hullmark.masterd.answers import NotLoggedIn
from hullmark.masterd.cluster import Cluster
from hullmark.pki.certificates import Identity
from hullmark.pki.invites import secret_hash

ADMIN = "admin"
LOCAL = "local"
TOKEN_MAX_CHARACTERS = 512

_NO_LOGIN = 0xFFFFFFFF
_CREDENTIALS = struct.Struct("iII")
"""struct ucred of unix(7): process, user, group."""


@dataclass(frozen=True)
class Caller:
    """`origin` is `local` or the address that the connection comes from. `host_id` is set for a host only."""

    who: str
    origin: str
    role: str = ""
    host_id: str = ""


def anyone(request: web.BaseRequest) -> Caller:
    return Caller("", origin_of(request))


def origin_of(request: web.BaseRequest) -> str:
    peer = _extra(request, "peername")
    return str(peer[0]) if isinstance(peer, tuple) and peer else LOCAL


def local_person(request: web.BaseRequest, proc: Path = Path("/proc")) -> Caller:
    """Raises Forbidden for a user who may not. The socket's mode keeps those out already."""
    connection = _extra(request, "socket")
    if connection is None:
        raise NotLoggedIn("the connection is gone")
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(raw)
    if uid not in (0, os.geteuid()):
        raise Forbidden(
            f"user {user_name(uid)} may not use this socket",
            remedy="use sudo, or a session's token",
        )
    login = _login_uid(proc / str(pid) / "loginuid")
    return Caller(user_name(uid if login is None else login), LOCAL, ADMIN)


def _login_uid(path: Path) -> Optional[int]:
    """The user id of the login that a process belongs to; None for a daemon's, or where it isn't kept."""
    try:
        uid = int(path.read_text())
    except (OSError, ValueError):
        return None
    return None if uid == _NO_LOGIN else uid


def user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def person_with_token(request: web.BaseRequest, cluster: Cluster) -> Caller:
    """Raises NotLoggedIn."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    token = token.strip()
    remedy = (
        "get one with `hullmark login` on the master, and pass it as `Authorization: Bearer TOKEN`"
    )
    if scheme.lower() != "bearer" or not token:
        raise NotLoggedIn("a session's token is needed here", remedy=remedy)
    session = None
    if len(token) <= TOKEN_MAX_CHARACTERS and token.isascii():
        session = cluster.session(secret_hash(token))
    if session is None:
        raise NotLoggedIn("this session is not known, or it has expired", remedy=remedy)
    return Caller(session.who, origin_of(request), session.role)


def calling_host(request: web.BaseRequest, cluster: Cluster, cluster_id: str) -> Caller:
    """Raises Forbidden for a certificate of another cluster, of a master, or of a host that is not enrolled."""
    try:
        identity = certificate_identity(_extra(request, "peercert") or {})
    except BrokenState as error:
        raise Forbidden(error.message) from error
    if identity.kind != "host" or identity.cluster_id != cluster_id:
        raise Forbidden("this certificate is not one of a host of this cluster")
    record = cluster.host(identity.name)
    if record is None:
        raise Forbidden(
            f"host {identity.name} is not enrolled here",
            remedy="on a master: hullmark invite HOST; there: hullmark agent enroll",
        )
    return Caller(record.name, origin_of(request), host_id=record.host_id)


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
