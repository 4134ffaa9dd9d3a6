"""Where incidents are asked for: at a master, or on this host, which keeps its own while it is in no cluster.

Without `--local` and without a master named, a machine that has no master's socket is asked for its own. There what people say goes to the
agent by a file that root alone can put there; the agent records it, and answers beside it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from hullmark.cli import address, door
from hullmark.cli.client import Client, new_request_id
from hullmark.cli.newfile import new_file
from hullmark.cli.options import Asked
from hullmark.core import incidents
from hullmark.errors import (
    BrokenState,
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    Problem,
    Refused,
    Unavailable,
)
from hullmark.launchers import look_command, start_command
from hullmark.model import jsontext, localask
from hullmark.model.incidentapi import (
    AcknowledgeRequest,
    IncidentDetail,
    IncidentList,
    IncidentView,
    NoteRequest,
)
from hullmark.model.localask import LocalAnswer, LocalAsk
from hullmark.model.outage import Incident, Outage
from hullmark.model.wire import canonical, from_wire, to_wire

PATH = "/v1/incidents"
POSTURE = "posture.json"
OLD_S = 30.0
"""The agent writes its file each five seconds; one that is older says nothing any more."""
PAUSE_S = 0.1


def _start() -> str:
    return start_command("agentd")


class Source(Protocol):
    def listed(self, query: Mapping[str, object]) -> IncidentList:
        """The newest first."""

    def shown(self, number: int) -> IncidentView:
        """Raises NotFound."""

    def acknowledge(self, number: int, ticket: str) -> IncidentView: ...

    def put_note(self, number: int, topic: str, text: str) -> IncidentView: ...


def source(asked: Asked, *, local: bool, config: str) -> Source:
    """`config` is the agent's file."""
    if local or (not address.named(asked) and _is_alone(asked)):
        return ThisHost(config)
    return Cluster(door.client(asked))


def _is_alone(asked: Asked) -> bool:
    """No master's socket is here."""
    return not any(Path(one.path).exists() for one in address.find(asked))


class Cluster:
    def __init__(self, client: Client) -> None:
        self._client = client

    def listed(self, query: Mapping[str, object]) -> IncidentList:
        return self._client.ask(IncidentList, PATH, query)

    def shown(self, number: int) -> IncidentView:
        return self._client.ask(IncidentDetail, f"{PATH}/{number}").incident

    def acknowledge(self, number: int, ticket: str) -> IncidentView:
        return self._change(number, "acknowledge", AcknowledgeRequest(new_request_id(), ticket))

    def put_note(self, number: int, topic: str, text: str) -> IncidentView:
        return self._change(number, "notes", NoteRequest(new_request_id(), text, topic))

    def _change(self, number: int, verb: str, request: Any) -> IncidentView:
        answer = self._client.change("POST", f"{PATH}/{number}/{verb}", to_wire(request))
        return self._client.decoded(IncidentDetail, answer).incident


class ThisHost:
    """By what its agent wrote last. Raises NotFound, Forbidden, BrokenState, and Unavailable where it wrote nothing, or not of late."""

    def __init__(self, file: str) -> None:
        from hullmark.config import load_agent  # it reads YAML

        config = load_agent(file).config
        self._run, self._state = Path(config.run_dir), Path(config.state_dir)

    def listed(self, query: Mapping[str, object]) -> IncidentList:
        known = self._read()
        found = [incidents.view(one) for one in _incidents(known)]
        if _is_enrolled(known):
            found = _of_outages(known)
        lasting = [one for one in found if not query.get("open") or _lasts(one)]
        since, host = query.get("since") or 0.0, query.get("host")
        kept = [one for one in lasting if not one.ended or one.ended >= float(str(since))]
        kept = [one for one in kept if not host or any(o.host == host for o in one.outages)]
        limit = int(str(query.get("limit") or len(kept)))
        return IncidentList(tuple(kept[:limit]), len(kept) > limit)

    def shown(self, number: int) -> IncidentView:
        known = self._read()
        if _is_enrolled(known):
            raise _of_the_cluster(f"show {number}")
        found = {one.number: one for one in _incidents(known)}
        incident = found.get(number)
        if incident is None:
            raise NotFound(f"there is no incident {number}", remedy="hullmark outages list --all")
        return incidents.view(incident)

    def acknowledge(self, number: int, ticket: str) -> IncidentView:
        if ticket:
            raise InvalidInput([_no_ticket()])
        return self._ask(localask.ACKNOWLEDGE, number, "ack")

    def put_note(self, number: int, topic: str, text: str) -> IncidentView:
        return self._ask(localask.NOTE, number, "note", topic, text)

    def _read(self) -> Mapping[str, Any]:
        path = self._run / POSTURE
        try:
            found = jsontext.loads(path.read_bytes())
        except FileNotFoundError as error:
            raise Unavailable(
                f"{path} does not exist: no agent looks at this host, or it is just about to",
                remedy=f"{_start()}; of a cluster: --master URL",
            ) from error
        except PermissionError as error:
            raise Forbidden(f"{path}: {error.strerror}", remedy="run it as root") from error
        except (OSError, ValueError) as error:
            raise BrokenState(f"{path} can't be read: {error}", remedy=_start()) from error
        if not isinstance(found, dict) or not isinstance(found.get("posture"), dict):
            raise BrokenState(f"{path} is none of an agent's", remedy=_start())
        age_s = time.time() - float(found["posture"].get("at", 0.0))
        if age_s > OLD_S:
            raise Unavailable(
                f"{path} is {age_s:.0f} s old: nobody looks at this host now", remedy=_start()
            )
        return found

    def _ask(
        self, verb: str, number: int, typed: str, topic: str = "", text: str = ""
    ) -> IncidentView:
        from hullmark.host.login import person  # for this only

        if _is_enrolled(self._read()):
            raise _of_the_cluster(f"{typed} {number}")
        folder = self._state / localask.FOLDER
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
        except PermissionError as error:
            raise Forbidden(f"{folder}: {error.strerror}", remedy="run it as root") from error
        except OSError as error:
            raise Refused(f"{folder}: {error.strerror}", remedy=_start()) from error
        path = folder / f"{new_request_id()}{localask.ASK}"
        with new_file(path, replace=False) as file:
            file.write(canonical(to_wire(LocalAsk(verb, number, person(), topic, text))))
        answer = _awaited(path)
        if answer.incident is None:
            raise Conflict(answer.why, remedy=answer.remedy)
        return incidents.view(answer.incident)


def _awaited(path: Path) -> LocalAnswer:
    answer_at = path.with_suffix(localask.ANSWER)
    deadline = time.monotonic() + localask.HEARD_S
    while time.monotonic() < deadline:
        try:
            found = from_wire(LocalAnswer, json.loads(answer_at.read_bytes()), ignore_unknown=True)
        except FileNotFoundError:
            time.sleep(PAUSE_S)
            continue
        answer_at.unlink()
        return found
    try:
        path.unlink()
    except FileNotFoundError:
        raise Unavailable(
            "the agent took it and did not answer: it is not known whether it is done",
            remedy="look: hullmark outages show",
        ) from None
    remedy = f"see whether the agent runs: {look_command('agentd')}"
    raise Unavailable("the agent does not answer; nothing was done", remedy=remedy)


def _incidents(known: Mapping[str, Any]) -> list[Incident]:
    found = [from_wire(Incident, one, ignore_unknown=True) for one in known.get("incidents", [])]
    return sorted(found, key=lambda one: -one.number)


def _of_outages(known: Mapping[str, Any]) -> list[IncidentView]:
    """Of an enrolled host: its outages, whose numbers the cluster knows."""
    found = [from_wire(Outage, one, ignore_unknown=True) for one in known.get("outages", [])]
    alone = [Incident(0, one.function, {one.outage_id: one}) for one in found]
    return [incidents.view(one) for one in alone]


def _lasts(view: IncidentView) -> bool:
    return not view.ended and not view.merged_into


def _is_enrolled(known: Mapping[str, Any]) -> bool:
    return bool(known["posture"].get("enrolled", False))


def _of_the_cluster(typed: str) -> Refused:
    return Refused(
        "this host's cluster keeps its incidents, with their numbers",
        remedy=f"hullmark outages {typed} --master https://MASTER:7442   (or on a master's machine)",
    )


def _no_ticket() -> Problem:
    return Problem("--ticket is kept by a cluster only", allowed="a note: hullmark outages note")
