"""The agent's commands beside `run`: `enroll` and `renew`. Loaded by them only, with the library for certificates."""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional, TypeVar

from hullmark.agentd import certify, enrolment
from hullmark.agentd.enroll import enroll
from hullmark.agentd.enrolment import Enrolment
from hullmark.agentd.identity import Identity
from hullmark.agentd.link import Leaderless, Link
from hullmark.agentd.lock import pair_lock
from hullmark.config import AgentConfig
from hullmark.errors import (
    BrokenState,
    Conflict,
    Forbidden,
    InvalidInput,
    MasterUnavailable,
    NotFound,
    Problem,
    Refused,
)
from hullmark.host import facts
from hullmark.host.service import Service, start
from hullmark.launchers import start_command
from hullmark.model.moments import day
from hullmark.pki import certificates
from hullmark.pki.asking import AGAIN_S, LEADERLESS_S, ask_over_tls
from hullmark.pki.files import read_private
from hullmark.pki.invites import MAX_TOKEN_CHARACTERS, Invite

STANDARD_INPUT = "-"
T = TypeVar("T")
ASK_FOR_ONE = "on a master: hullmark invite HOST --token-file FILE; then carry the file here"


@dataclass(frozen=True)
class Joined:
    """How an enrolment ended. `new`: it was made now."""

    new: bool
    enrolled: Enrolment
    service: Service
    trouble: Optional[Refused] = None
    """Why the service was not started. The enrolment stands."""

    @property
    def changed(self) -> bool:
        return self.new or self.service is Service.STARTED


def run_enroll(config: AgentConfig, token_file: str, *, force: bool, starting: bool) -> Joined:
    """Join, unless this host is enrolled in the invite's cluster already; then see that its service runs, if `starting`. Raises
    HullmarkError. A token is used up by its use and may be gone: an enrolled host needs none."""
    folder = Path(config.state_dir)
    host = config.host_name or socket.gethostname().lower()
    known = None if force else _usable(folder)
    token = _token(token_file)
    if known is None:
        enrolled = _enrolled(folder, host, _invite(token, token_file))
    else:
        enrolled = known
        if token:
            _check_same(folder, known, Invite.parse(token))
    service, trouble = Service.LEFT, None
    if starting:
        try:
            service = start("agentd")
        except Refused as error:
            trouble = error
    return Joined(known is None, enrolled, service, trouble)


def as_text(joined: Joined) -> str:
    """For people."""
    one = joined.enrolled
    if joined.new:
        until = day(one.valid_until)
        told = [
            f"host {one.host} is enrolled in cluster {one.cluster_id} as {one.host_id}",
            f"its certificate is good until {until}, and renewed by the agent before that",
        ]
    else:
        told = [
            f"host {one.host} is enrolled already, in cluster {one.cluster_id} as {one.host_id}",
            "to enroll it anew: --force",
        ]
    if joined.service is Service.STARTED:
        told.append("its agent is started")
    elif joined.service is not Service.RUNNING and joined.new:
        start_it = start_command("agentd")
        told.append(f"an agent that runs goes on by itself; otherwise start it: {start_it}")
    return "\n".join(told)


def as_document(joined: Joined) -> dict[str, object]:
    one = joined.enrolled
    return {
        "schema": "hullmark.agent-enroll/1",
        "changed": joined.changed,
        "host": one.host,
        "host_id": one.host_id,
        "cluster_id": one.cluster_id,
        "valid_from": one.valid_from,
        "valid_until": one.valid_until,
        "service": "failed" if joined.trouble else joined.service.value,
    }


def run_renew(folder: Path, masters: tuple[str, ...] = (), *, as_json: bool = False) -> str:
    """Raises HullmarkError; the old certificate is then still in use. An agent that runs uses the new one from its next
    request on."""
    known = enrolment.load(folder)
    enrolment.check_validity(known, time.time())
    link = Link(Identity(folder), masters)
    with pair_lock(folder):
        renewed = _by_a_master(lambda: certify.renew(folder, link), link, known.host)
    if as_json:
        told = {
            "schema": "hullmark.agent-renew/1",
            "changed": True,
            "host": renewed.host,
            "host_id": renewed.host_id,
            "cluster_id": renewed.cluster_id,
            "valid_from": renewed.valid_from,
            "valid_until": renewed.valid_until,
        }
        return json.dumps(told, indent=2)
    return f"the new certificate of host {renewed.host} is good until {day(renewed.valid_until)}"


def run_renew_proxy(folder: Path, proxy_folder: Path, masters: tuple[str, ...]) -> str:
    """The same for the certificate of the host's proxy. Raises HullmarkError."""
    known = enrolment.load(folder)
    enrolment.check_validity(known, time.time())
    link = Link(Identity(folder), masters)
    with pair_lock(folder):
        made = _by_a_master(
            lambda: certify.renew_proxy(folder, proxy_folder, link), link, known.host
        )
    return (
        f"the certificate of the proxy of host {known.host} is good until {day(made.valid_until)}"
    )


def _enrolled(folder: Path, host: str, invite: Invite) -> Enrolment:
    made = facts.gather(host_name=host)
    with _lock_if_there(folder):
        return enroll(folder, invite, host, made, ask=ask_over_tls)


def _check_same(folder: Path, known: Enrolment, invite: Invite) -> None:
    """Raises Conflict for an invite that is not for what this host is."""
    force = "to give that up: hullmark agent enroll --force --token-file FILE"
    root = certificates.load_chain((folder / enrolment.ROOT).read_bytes(), enrolment.ROOT)[0]
    if certificates.fingerprint(root) != invite.fingerprint.lower():
        raise Conflict(
            f"this host is enrolled in cluster {known.cluster_id}, and the invite is another cluster's",
            remedy=f"to leave that one in order: hullmark eject; {force}",
        )
    if invite.host != known.host:
        raise Conflict(
            f"this host is enrolled as {known.host}, and the invite is for host {invite.host}",
            remedy=f"on a master: hullmark invite {known.host}; {force}",
        )


def _by_a_master(
    ask: Callable[[], T],
    link: Link,
    host: str,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """By the one that leads of those that are known; asked again, as `asking.of_leader` does, where masters answer and none leads."""
    until = clock() + LEADERLESS_S
    while True:
        troubles: list[MasterUnavailable] = []
        for _ in range(link.number):
            try:
                return ask()
            except MasterUnavailable as error:
                troubles.append(error)
            except (Forbidden, NotFound) as error:
                remedy = error.remedy or enrolment.AGAIN.format(host=host)
                raise Forbidden(error.message, remedy=remedy) from error
        is_leaderless = any(isinstance(error, Leaderless) for error in troubles)
        if not is_leaderless or clock() >= until:
            raise _unserved(troubles, host, is_leaderless=is_leaderless)
        sleep(AGAIN_S)


def _unserved(
    troubles: Sequence[MasterUnavailable], host: str, *, is_leaderless: bool
) -> MasterUnavailable:
    if not troubles:
        again = enrolment.AGAIN.format(host=host)
        return MasterUnavailable("this host knows no master", remedy=again)
    if not is_leaderless:
        return troubles[-1]
    told = "; ".join(dict.fromkeys(error.message for error in troubles))
    return MasterUnavailable(
        f"no master leads: {told}",
        remedy="repeat this in a moment; on a master: hullmark status",
    )


def _lock_if_there(folder: Path) -> AbstractContextManager[None]:
    """Of a folder that does not exist yet nobody renews anything."""
    return pair_lock(folder) if folder.is_dir() else nullcontext()


def _usable(folder: Path) -> Optional[Enrolment]:
    try:
        enrolled = enrolment.load(folder)
        enrolment.check_validity(enrolled, time.time())
    except (NotFound, BrokenState):
        return None
    return enrolled


def _invite(token: str, token_file: str) -> Invite:
    if not token:
        name = "standard input" if token_file == STANDARD_INPUT else token_file
        raise InvalidInput([Problem("there is no token", file=name)], remedy=ASK_FOR_ONE)
    return Invite.parse(token)


def _token(token_file: str) -> str:
    """Empty for a file that is not there, or holds nothing."""
    if token_file == STANDARD_INPUT:
        return sys.stdin.read(MAX_TOKEN_CHARACTERS + 1).strip()
    try:
        return read_private(Path(token_file)).decode("ascii", errors="replace").strip()
    except NotFound:
        return ""
    except OSError as error:
        problem = Problem(f"can't be read: {error.strerror}", file=token_file)
        raise InvalidInput([problem], remedy=ASK_FOR_ONE) from error
