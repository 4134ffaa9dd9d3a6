"""Asking a master as somebody who has no certificate yet, only a token that names the root's fingerprint.

the root, unverified -> its fingerprint is the token's -> all else over TLS that this root verifies
"""

from __future__ import annotations

import email.utils
import http.client
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Callable, Optional
from urllib.parse import urlsplit

from hullmark.errors import BrokenState, Forbidden, InvalidInput, MasterUnavailable
from hullmark.model import jsontext
from hullmark.model.api import Authority
from hullmark.model.wire import from_wire
from hullmark.pki import certificates
from hullmark.pki.certificates import CLOCK_SKEW_S

TIMEOUT_S = 10.0
ANSWER_MAX_BYTES = 1 << 20
SET_CLOCK = "set the clock: check chronyc tracking or timedatectl"


@dataclass(frozen=True)
class Answer:
    """`data` is the JSON value, None for none. `at`: the master's clock in seconds since 1970, None: not told."""

    status: int
    data: Any
    at: Optional[float] = None


Ask = Callable[[str, str, str, Optional[bytes], str], Answer]
"""(master, method, path, body, root): one request; an empty root verifies nothing. Raises MasterUnavailable."""


def root(master: str, expected: str, ask: Ask, now: float) -> str:
    """The cluster's root, PEM, as the master gives it; its fingerprint must be the expected one. Raises MasterUnavailable, Forbidden
    for another root, BrokenState where this machine's clock is wrong."""
    answer = ask(master, "GET", "/v1/ca", None, "")
    root_pem: str = answered(Authority, answer, master).root_pem
    try:
        found = certificates.fingerprint(certificates.load_chain(root_pem.encode(), master)[0])
    except BrokenState as error:
        raise MasterUnavailable(f"{master} answers with something else: {error.message}") from error
    if found != expected.lower():
        raise Forbidden(
            f"{master} is not the master that made the invite, or something is between: its root has the "
            f"fingerprint {found[:16]}..., the invite says {expected[:16]}...",
            remedy="do not go on before you know why; then make a new invite on the master",
        )
    if answer.at is not None and abs(now - answer.at) > CLOCK_SKEW_S:
        minutes, side = abs(now - answer.at) / 60, "ahead of" if now > answer.at else "behind"
        raise BrokenState(
            f"this machine's clock is {minutes:.0f} min {side} the master's", remedy=SET_CLOCK
        )
    return root_pem


def answered(kind: type[Any], answer: Answer, master: str) -> Any:
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
        data = jsontext.loads(content)
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
