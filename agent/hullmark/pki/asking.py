"""Asking a master as somebody who has no certificate yet, only a token that names the root's fingerprint.

the root, unverified -> its fingerprint is the token's -> all else over TLS that this root verifies
"""

from __future__ import annotations

import contextlib
import email.utils
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Callable, Optional
from urllib.parse import urlsplit

from hullmark.errors import (
    BrokenState,
    Forbidden,
    HullmarkError,
    InvalidInput,
    MasterUnavailable,
)
from hullmark.model import jsontext
from hullmark.model.api import Authority
from hullmark.model.wire import from_wire
from hullmark.pki import certificates
from hullmark.pki.certificates import CLOCK_SKEW_S
from hullmark.pki.invites import Invite

TIMEOUT_S = 10.0
LEADERLESS_S, AGAIN_S = 12.0, 0.5
"""How long, and how often, it is asked again where masters answer and none leads. Another leads by then, as where one that leads dies."""
LEAST_S = 3.0
"""What a request has where that time is nearly over: far more than a leader takes to answer, as its store has to take it first."""
ANSWER_MAX_BYTES = 1 << 20
SET_CLOCK = "set the clock: check chronyc tracking or timedatectl"


@dataclass(frozen=True)
class Answer:
    """`data` is the JSON value, None for none. `at`: the master's clock in seconds since 1970, None: not told."""

    status: int
    data: Any
    at: Optional[float] = None


Ask = Callable[[str, str, str, Optional[bytes], str, float], Answer]
"""(master, method, path, body, root, timeout_s): one request; an empty root verifies nothing. Raises MasterUnavailable."""


def root(master: str, expected: str, ask: Ask, now: float, timeout_s: float) -> str:
    """The cluster's root, PEM, as the master gives it; its fingerprint must be the expected one. Raises MasterUnavailable, Forbidden
    for another root, BrokenState where this machine's clock is wrong."""
    answer = ask(master, "GET", "/v1/ca", None, "", timeout_s)
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


def of_leader(
    kind: type[Any],
    invite: Invite,
    path: str,
    body: bytes,
    ask: Ask,
    now: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Any:
    """The answer of the master that leads: one of the invite, or one that those name. It may be asked more than once, and whoever shows another root is
    asked nothing. Raises MasterUnavailable with what each said last, Forbidden where one refuses, or where none served and one shows another root, and
    BrokenState as `root` does."""
    until = clock() + LEADERLESS_S
    masters = list(invite.masters)
    strangers: dict[str, Forbidden] = {}
    while True:
        failures: list[str] = []
        is_leaderless = False
        for master in masters:
            if master in strangers:
                continue
            try:
                root_pem = root(master, invite.fingerprint, ask, now, _within_s(until, clock))
            except Forbidden as error:
                strangers[master] = error
                continue
            except MasterUnavailable as error:
                failures.append(error.message)
                continue
            try:
                answer = ask(master, "POST", path, body, root_pem, _within_s(until, clock))
                is_leaderless = is_leaderless or answer.status in (421, 503)
                leader = _leader_in(answer)
                if leader and leader not in masters:
                    masters.append(leader)  # it is asked next, under the same root
                return answered(kind, answer, master)
            except MasterUnavailable as error:
                failures.append(error.message)
        if not is_leaderless or clock() >= until:
            raise _without_leader(failures, list(strangers.values()), is_leaderless=is_leaderless)
        sleep(AGAIN_S)


def _within_s(until: float, clock: Callable[[], float]) -> float:
    return min(TIMEOUT_S, max(LEAST_S, until - clock()))


def _leader_in(answer: Answer) -> str:
    """Whom a master names that doesn't lead; empty for nobody."""
    is_told = answer.status == 421 and isinstance(answer.data, dict)
    said = answer.data.get("leader") if is_told else ""
    return said if isinstance(said, str) and said.startswith("https://") else ""


def _without_leader(
    failures: Sequence[str], strangers: Sequence[Forbidden], *, is_leaderless: bool
) -> HullmarkError:
    told = "; ".join((*(error.message for error in strangers), *failures))
    if strangers:
        return Forbidden(told, remedy=strangers[0].remedy)
    if is_leaderless:
        return MasterUnavailable(
            f"no master of the invite leads: {told}",
            remedy="repeat this in a moment; on a master: hullmark status; the invite is still good",
        )
    return MasterUnavailable(
        f"no master of the invite answers: {told}",
        remedy="check that a master runs there, and that nothing between blocks it; the invite is still good",
    )


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
    master: str, method: str, path: str, body: Optional[bytes], root_pem: str, timeout_s: float
) -> Answer:
    """An `Ask` over the network. What the connection took is no longer there for the answer, which is cut where it is not whole by then."""
    until = time.monotonic() + timeout_s
    parts = urlsplit(master)
    connection = http.client.HTTPSConnection(
        parts.hostname or "", parts.port or 443, timeout=timeout_s, context=_context(root_pem)
    )
    try:
        connection.connect()
        with _cut_at(until, connection.sock):
            connection.request(method, path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            content = response.read(ANSWER_MAX_BYTES)
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
    return Answer(response.status, data, _seconds(response.getheader("Date")))


@contextlib.contextmanager
def _cut_at(until: float, connected: socket.socket) -> Iterator[None]:
    """Whoever waits for the connection then waits no more. Raises TimeoutError where it came to that."""
    over = threading.Event()

    def cut() -> None:
        over.set()
        with contextlib.suppress(OSError):  # it is closed already
            # Not the TLS socket's own method: that takes the session away from the thread that reads.
            socket.socket.shutdown(connected, socket.SHUT_RDWR)

    timer = threading.Timer(max(0.0, until - time.monotonic()), cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, http.client.HTTPException):
        if not over.is_set():
            raise
    finally:
        timer.cancel()
    if over.is_set():  # a head that was cut reads like a whole one
        raise TimeoutError("its answer was not whole in time")


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
