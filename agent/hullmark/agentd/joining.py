"""The agent's commands beside `run`: `enroll` and `renew`. Loaded by them only, with the library for certificates."""

from __future__ import annotations

import json
import socket
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Optional

from hullmark.agentd import certify, enrolment
from hullmark.agentd.enroll import ask_over_tls, enroll
from hullmark.agentd.enrolment import Enrolment
from hullmark.agentd.identity import Identity
from hullmark.agentd.link import Link
from hullmark.agentd.lock import pair_lock
from hullmark.config import AgentConfig
from hullmark.errors import (
    BrokenState,
    Forbidden,
    InvalidInput,
    MasterUnavailable,
    NotFound,
    Problem,
)
from hullmark.host import facts
from hullmark.model.moments import day
from hullmark.pki.files import read_private
from hullmark.pki.invites import MAX_TOKEN_CHARACTERS, Invite

STANDARD_INPUT = "-"


def run_enroll(config: AgentConfig, token_file: str, *, force: bool) -> str:
    """What to tell the person. Raises HullmarkError."""
    folder = Path(config.state_dir)
    host = config.host_name or socket.gethostname().lower()
    known = None if force else _usable(folder)
    if known is not None:
        return (
            f"host {known.host} is enrolled already, in cluster {known.cluster_id} as {known.host_id}\n"
            "to enroll it anew: --force"
        )
    invite = Invite.parse(_token(token_file))
    made = facts.gather(host_name=host)
    with _lock_if_there(folder):
        enrolled = enroll(folder, invite, host, made, ask=ask_over_tls)
    until = day(enrolled.valid_until)
    return (
        f"host {host} is enrolled in cluster {enrolled.cluster_id} as {enrolled.host_id}\n"
        f"its certificate is good until {until}, and renewed by the agent before that\n"
        "an agent that runs goes on by itself; otherwise start it: hullmark agent run"
    )


def run_renew(config: AgentConfig, *, as_json: bool = False) -> str:
    """Raises HullmarkError; the old certificate is then still in use. An agent that runs uses the new one from its next
    request on."""
    folder = Path(config.state_dir)
    known = enrolment.load(folder)
    enrolment.check_validity(known, time.time())
    link = Link(Identity(folder), config.masters)
    with pair_lock(folder):
        renewed = _renewed(folder, link, len(config.masters or known.masters), known.host)
    if as_json:
        told = {
            "schema": "hullmark.agent-renew/1",
            "host": renewed.host,
            "host_id": renewed.host_id,
            "cluster_id": renewed.cluster_id,
            "valid_from": renewed.valid_from,
            "valid_until": renewed.valid_until,
        }
        return json.dumps(told, indent=2)
    return f"the new certificate of host {renewed.host} is good until {day(renewed.valid_until)}"


def _renewed(folder: Path, link: Link, masters: int, host: str) -> Enrolment:
    """By the first master that answers: of several, one leads."""
    for tries_left in reversed(range(masters)):
        try:
            return certify.renew(folder, link)
        except MasterUnavailable:
            if not tries_left:
                raise
        except (Forbidden, NotFound) as error:
            remedy = error.remedy or enrolment.AGAIN.format(host=host)
            raise Forbidden(error.message, remedy=remedy) from error
    raise MasterUnavailable("this host knows no master", remedy=enrolment.AGAIN.format(host=host))


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


def _token(token_file: str) -> str:
    if token_file == STANDARD_INPUT:
        return sys.stdin.read(MAX_TOKEN_CHARACTERS + 1)
    try:
        return read_private(Path(token_file)).decode("ascii", errors="replace")
    except OSError as error:
        raise InvalidInput(
            [Problem(f"can't be read: {error.strerror}", file=token_file)],
            remedy="on a master: hullmark invite HOST --token-file FILE; then carry the file here",
        ) from error
