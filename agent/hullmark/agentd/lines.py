"""Requests to each master by its own URL, also to one that stands by; who answered is known by its certificate."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Optional, TypeVar

import requests

from hullmark.agentd import deadline, pulse
from hullmark.agentd.deadline import Deadline
from hullmark.agentd.identity import Identity, Signature
from hullmark.agentd.link import ANSWER_S, bounded, decoded, reason, session_of
from hullmark.errors import Forbidden, MasterUnavailable, NotFound, Refused
from hullmark.model import jsontext
from hullmark.model.wire import canonical, to_wire

T = TypeVar("T")

CONNECT_S = 2.0
_MASTER = "master"


class Silent(MasterUnavailable):
    """Nobody answers there."""


@dataclass(frozen=True)
class Peer:
    """A master as its certificate names it, and the certificate, DER."""

    name: str
    certificate: bytes = field(repr=False)


@dataclass
class _Line:
    signature: Signature
    session: requests.Session
    connection: Optional[Any] = None


class Lines:
    """Used by one thread."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._lines: dict[str, _Line] = {}

    def ask(
        self, url: str, path: str, body: Any, answer: type[T], timeout_s: float
    ) -> tuple[T, Peer]:
        """The answer, and whose it is. Raises Silent, NotFound from a master that does not know the question, other
        HullmarkErrors for its refusals, BrokenState while the host's own files can't be used."""
        line = self._line(url)
        within = Deadline(CONNECT_S + timeout_s + ANSWER_S)
        deadline.goes_by(line.connection)
        try:
            with pulse.elsewhere(), within:
                response = line.session.post(
                    url + path,
                    data=canonical(to_wire(body)),
                    headers={"Content-Type": "application/json"},
                    timeout=(CONNECT_S, timeout_s),
                    allow_redirects=False,
                    stream=True,
                )
                line.connection = deadline.connected()
                peer = _peer(line.connection)
                content = bounded(response)
            if within.passed:
                raise requests.Timeout(within.why)
        except (requests.RequestException, OSError, ValueError) as error:
            self.leave(url)
            raise Silent(f"{url}: {reason(error)}") from error
        return decoded(answer, _data(url, response.status_code, content), url), peer

    def leave(self, url: str) -> None:
        """The next request there connects anew."""
        line = self._lines.pop(url, None)
        if line is not None:
            line.session.close()

    def _line(self, url: str) -> _Line:
        enrolled, signature = self._identity.usable()
        line = self._lines.get(url)
        if line is None or line.signature != signature:
            self.leave(url)
            line = _Line(signature, session_of(self._identity.folder, enrolled))
            self._lines[url] = line
        return line


def _peer(connection: Optional[Any]) -> Peer:
    """Raises OSError where the connection is gone, ValueError for a certificate that is no master's."""
    if connection is None:
        raise OSError("the connection is gone")
    certificate = connection.getpeercert(binary_form=True)
    names = (connection.getpeercert() or {}).get("subjectAltName", ())
    found = [value.split("/") for kind, value in names if kind == "URI"]
    if not certificate or len(found) != 1 or found[0][-2:-1] != [_MASTER]:
        raise ValueError("its certificate is not one of a master")
    return Peer(found[0][-1], certificate)


def _data(url: str, status: int, content: bytes) -> Any:
    try:
        data = jsontext.loads(content)
    except ValueError:
        data = {}
    if status == 200:
        return data
    said = data if isinstance(data, dict) else {}
    message = f"{url}: {said.get('message') or f'status {status}'}"
    if status in (401, 403):
        raise Forbidden(message)
    if status in (404, 405):
        raise NotFound(message)
    if status == 421 or status >= 500:
        raise MasterUnavailable(message)
    raise Refused(message)
