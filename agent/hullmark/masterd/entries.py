"""Entries of a master's log: how a request, a refusal, an event are recorded. Never a secret, and never the value of a variable."""

from __future__ import annotations

import dataclasses
import enum
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from aiohttp import web

from hullmark.errors import Forbidden, HullmarkError, MasterUnavailable, OutcomeUnknown
from hullmark.masterd.identity import MACHINE, Caller
from hullmark.model.audit import BY_HAND, DAEMON, Actor, Entry, Outcome, Stage
from hullmark.model.event import Event
from hullmark.model.peers import JoinRequest, MasterInviteRequest
from hullmark.model.people import TokenRequest

if TYPE_CHECKING:  # a route's own imports lead here
    from hullmark.masterd.route import Route

HELD = "held: it waits for a second person"
TEXT_MAX_CHARACTERS = 1024
FIELDS_MAX = 32
HIDDEN = frozenset({"app", "secret", "csr_pem", "request_id", "ticket", "facts", "document"})
"""Fields of requests that are not recorded: what may hold secrets or is large, and what has a place of its own."""
KINDS = {"change": "rollout", "execute": "exec", "read_audit": "audit", "read_heads": "audit-heads"}
"""Where a handler's name says too little by itself."""
NAMED: Mapping[type, str] = {
    TokenRequest: "token",
    MasterInviteRequest: "master",
    JoinRequest: "master",
}
"""What it is that has the name in a request."""
REFUSED = frozenset({"refused", "cloned"})


def intent(route: Route, caller: Caller, names: Mapping[str, str], body: Any, epoch: str) -> Entry:
    """Of a request that is about to be carried out."""
    who, actor = _who(caller, body)
    return Entry(
        kind_of(route),
        subject_of(names, body),
        Stage.INTENT,
        Outcome.PENDING,
        who,
        actor,
        caller.origin,
        ticket=_text(body, "ticket"),
        request_id=_text(body, "request_id"),
        epoch=epoch,
        fields={**_asked(body), **_people(caller)},
    )


def outcome(entry: Entry, number: int, answer: Any, epoch: str) -> Entry:
    """Of an intent with that number, whose handler gave this answer: also that of another master, whatever it says."""
    if isinstance(answer, web.StreamResponse) and answer.status >= 400:
        refused = answer.status in (401, 403)
        how = Outcome.REFUSED if refused else Outcome.FAILURE
        return ended(entry, number, how, f"the leader answered with status {answer.status}")
    ending = getattr(answer, "ending", None)
    if ending is not None:  # of an answer that had begun when it went wrong
        return ended(entry, number, *ending)
    fields = {}
    for name in ("generation", "changed", "host_id", "pending_id", "exit_code"):
        value = getattr(answer, name, None)
        if value is not None and not isinstance(value, enum.Enum):
            fields[name] = _shown(value)
    return dataclasses.replace(
        entry,
        stage=Stage.OUTCOME,
        outcome=Outcome.SUCCESS,
        reason=HELD if "pending_id" in fields else "",
        of=number,
        epoch=epoch,
        fields=fields,
    )


def failure(entry: Entry, number: int, error: BaseException) -> Entry:
    """Of an intent whose handler raised this."""
    found, why = Outcome.FAILURE, "a fault of the master: see its log"
    if isinstance(error, HullmarkError):
        why = error.message
        if isinstance(error, (OutcomeUnknown, MasterUnavailable)):
            found = Outcome.UNKNOWN
        elif isinstance(error, Forbidden):
            found = Outcome.REFUSED
    return ended(entry, number, found, why)


def ended(entry: Entry, number: int, how: Outcome, why: str) -> Entry:
    return dataclasses.replace(
        entry,
        stage=Stage.OUTCOME,
        outcome=how,
        of=number,
        reason=why[:TEXT_MAX_CHARACTERS],
        fields={},
    )


def refusal(kind: str, what: str, caller: Caller, why: str, fields: Mapping[str, str]) -> Entry:
    """Of a request that was refused before it began."""
    who, actor = _who(caller, None)
    return Entry(
        kind,
        what,
        outcome=Outcome.REFUSED,
        by=who,
        actor=actor,
        origin=caller.origin,
        reason=why[:TEXT_MAX_CHARACTERS],
        fields={**fields, **_people(caller)},
    )


def came(caller: Caller) -> Entry:
    """A login is used."""
    who, actor = _who(caller, None)
    role = "" if caller.role is None else caller.role.value
    fields = {"role": role, **_people(caller)}
    return Entry("login.used", who, by=who, actor=actor, origin=caller.origin, fields=fields)


def read(route: Route, caller: Caller, names: Mapping[str, str], query: Mapping[str, Any]) -> Entry:
    """Somebody reads what reading is recorded of."""
    who, actor = _who(caller, None)
    fields = {name: _shown(value) for name, value in query.items() if value not in ("", 0, False)}
    subject = subject_of(names, None) or route.path
    return Entry(kind_of(route), subject, by=who, actor=actor, origin=caller.origin, fields=fields)


def of_event(event: Event) -> Entry:
    """What a leader tells of itself, and of what people asked for."""
    fields = dict(event.fields)
    word = event.kind.rpartition(".")[2]
    outcome = Outcome.REFUSED if word in REFUSED else Outcome.SUCCESS
    if fields.pop("failed", ""):
        outcome = Outcome.FAILURE
    return Entry(
        event.kind,
        event.subject,
        outcome=outcome,
        by=event.by or DAEMON,
        actor=actor_of(event.by),
        origin=fields.pop("from", "") or event.origin,
        reason=event.message[:TEXT_MAX_CHARACTERS],
        ticket=fields.pop("ticket", ""),
        request_id=fields.pop("request_id", ""),
        epoch=fields.pop("epoch", ""),
        fields=fields,
    )


def actor_of(who: str) -> Actor:
    """Of a name as events and changes have it."""
    if not who:
        return Actor.SYSTEM
    return Actor.MACHINE if who.startswith(MACHINE) else Actor.HUMAN


def kind_of(route: Route) -> str:
    """`request.` and what the API's description calls it."""
    name = route.handler.__name__
    return "request." + KINDS.get(name, name).replace("_", "-")


def subject_of(names: Mapping[str, str], body: Any) -> str:
    """What it is about: an app's name alone, anything else with its kind."""
    found = [value if name == "app" else f"{name} {value}" for name, value in sorted(names.items())]
    if not found:
        found = list(_subjects(body))
    return ", ".join(found)[:TEXT_MAX_CHARACTERS] or "cluster"


def _subjects(body: Any) -> Iterator[str]:
    hosts = getattr(body, "hosts", None)
    if isinstance(hosts, tuple):
        for host in hosts:
            yield f"host {host}"
    for name in ("host", "name", "master"):
        value = getattr(body, name, None)
        if isinstance(value, str) and value:
            yield f"{NAMED.get(type(body), name)} {value}"
            return


def _who(caller: Caller, body: Any) -> tuple[str, Actor]:
    if caller.host_id:
        return caller.who, Actor.HOST
    if not caller.who:
        # Who uses an invite is known by that alone.
        invited = getattr(body, "host", "") or getattr(body, "name", "")
        return (str(invited), Actor.HOST) if invited else (BY_HAND, Actor.UNKNOWN)
    return caller.who, Actor.HUMAN if caller.human else Actor.MACHINE


def _people(caller: Caller) -> dict[str, str]:
    """The user that it was done as, where that is another than the person: `sudo`."""
    other = caller.user and caller.user != caller.who
    return {"as_user": caller.user} if other else {}


def _text(body: Any, name: str) -> str:
    value = getattr(body, name, "")
    return value[:TEXT_MAX_CHARACTERS] if isinstance(value, str) else ""


def _asked(body: Any) -> dict[str, str]:
    """What of a request says what was asked for."""
    if not dataclasses.is_dataclass(body):
        return {}
    found: dict[str, str] = {}
    for each in dataclasses.fields(body):
        value = getattr(body, each.name)
        if each.name not in HIDDEN and value not in ("", (), None) and len(found) < FIELDS_MAX:
            found[each.name] = _shown(value)
    return found


def _shown(value: Any) -> str:
    if isinstance(value, enum.Enum):
        value = value.value
    if isinstance(value, str):
        return value[:TEXT_MAX_CHARACTERS]
    if isinstance(value, Mapping):
        value = {str(key): str(item) for key, item in value.items()}
    return json.dumps(value, default=str, ensure_ascii=False)[:TEXT_MAX_CHARACTERS]
