"""What others do through the engine, past Hullmark: recorded as `unmanaged.*`, and told to the leader.

    event -> a health check's? counted -> kept a moment -> one of the agent's own deeds? left out -> acts -> record, alert

Events wait a moment, because one act makes several, and because the answer to a deed of our own may come after its events.
A container's health check runs as a command in it: it is told by its text, which the engine's `inspect` has too.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from hullmark import log
from hullmark.agentd import pulse
from hullmark.agentd.asked import LOCAL
from hullmark.agentd.outbox import Outbox
from hullmark.agentd.owndeeds import OwnDeeds
from hullmark.core.byhand import (
    PLUGS,
    UNKNOWN,
    Act,
    Known,
    Past,
    Sign,
    acts,
    belongs,
    check_text,
    plugged,
    program_of,
    shown,
)
from hullmark.core.ration import Ration
from hullmark.engine.inspection import seconds
from hullmark.engine.protocol import Engine, EngineEvent
from hullmark.errors import AuditUnavailable, HullmarkError, NotFound
from hullmark.model.audit import BY_HAND, Actor, Entry, Record
from hullmark.model.moments import moment
from hullmark.model.names import parse_container_name

_log = log.get("by-hand")

LOOK_S = 0.5
SETTLE_S = 2.0
"""How long nothing more is told of a subject before what was told is read."""
STOP_S = 15.0
"""The same after a signal, as a container that is stopped has ten seconds by default, and after a pause, which may be a part of a commit."""
WHOLE_S = 20.0
"""What goes on for longer is read in parts."""
WAITING_MAX = 5000
KNOWN_MAX = 2000
COUNTED_S = 3600.0
"""How often it is recorded how many health checks ran."""

RECORDS = (200, 20.0)
ALERTS = (50, 0.2)
"""So many at once, and then so many a second; the others are counted."""

UNMANAGED = "unmanaged."
MORE = UNMANAGED + "more"
CHECKS = "healthchecks.counted"
_EXEC, _PLUG = "exec_create", "plug"
_NOTHING = frozenset(["exec_start", "exec_die", "health_status", "oom", "top", "init"])


@dataclass
class _Group:
    """Events of one subject. Times are monotonic."""

    began: float
    latest: float
    signs: list[Sign] = field(default_factory=list)

    def is_due(self, now: float) -> bool:
        if self.signs[0].action in PLUGS:
            # Not by the latest: who goes on with it would put off that it is read until the container was started anew.
            return now - self.began >= SETTLE_S
        waits_s = STOP_S if self.signs[-1].action in ("kill", "pause") else SETTLE_S
        return now - self.latest >= waits_s or now - self.began >= WHOLE_S


class ByHand:
    """`take` and `connected` are the watch's thread's, `run` another's."""

    def __init__(
        self,
        engine: Engine,
        own: OwnDeeds,
        note: Callable[[Entry], None],
        outbox: Outbox,
        left_open: Callable[[], Sequence[Record]] = tuple,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._engine = engine
        self._own = own
        self._note = note
        self._outbox = outbox
        self._left_open = left_open
        self._clock = clock
        self._wall = wall
        self._lock = threading.Lock()
        self._came: deque[tuple[float, Sign]] = deque()
        self._missed = 0
        self._has_inherited = False
        self._checks: dict[str, int] = {}
        self._counted_at = clock()
        self._heard_since = wall()
        self._groups: dict[tuple[str, str], _Group] = {}
        self._known: OrderedDict[str, Known] = OrderedDict()
        self._ended: OrderedDict[str, float] = OrderedDict()
        self._made: deque[Sign] = deque(maxlen=200)
        self._records = Ration(*RECORDS, clock())
        self._alerts = Ration(*ALERTS, clock())

    # -- the watch's

    def connected(self) -> None:
        """The engine's events are heard from now on."""
        self._heard_since = self._wall()

    def take(self, event: EngineEvent) -> None:
        if event.action in _NOTHING:
            # Podman tells of each check, and of no command with it; Docker of what changed, with a word.
            if event.action == "health_status" and "detail" not in event.fields:
                self._count(event.container_id)
            return
        if event.action == _EXEC and self._is_check(event.container_id, _text(event.fields)):
            self._count(event.container_id)
            return
        sign = sign_of(event)
        with self._lock:
            if len(self._came) < WAITING_MAX:
                self._came.append((self._clock(), sign))
            else:
                self._missed += 1

    def _is_check(self, container_id: str, text: str) -> bool:
        known = self._known.get(container_id)
        return known is not None and bool(known.check) and known.check == text

    def _count(self, container_id: str) -> None:
        with self._lock:
            self._checks[container_id] = self._checks.get(container_id, 0) + 1

    # -- the loop's

    def run(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            self.turn()
            pulse.rest(stopping, LOOK_S)
        self._gather()
        while self._groups:
            self._read(self._groups.popitem()[1])
        self.tell_checks()

    def turn(self) -> None:
        now = self._clock()
        self._inherit()
        self._gather()
        for key in [key for key, group in self._groups.items() if group.is_due(now)]:
            self._read(self._groups.pop(key))
        self._tell_more()
        if now - self._counted_at >= COUNTED_S:
            self.tell_checks()

    def _inherit(self) -> None:
        """Once: what another process of the agent left in the middle."""
        if not self._has_inherited:
            with suppress(AuditUnavailable), pulse.elsewhere():
                self._own.inherit(self._left_open())
                self._has_inherited = True

    def _gather(self) -> None:
        with self._lock:
            came, self._came = list(self._came), deque()
            missed, self._missed = self._missed, 0
        self._records.kept_back += missed
        for at, sign in came:
            self._sort(at, sign)

    def _sort(self, at: float, sign: Sign) -> None:
        """To its group. A command stands for itself, and its container's health check is looked up while it is there."""
        key = sign.key
        if sign.action == _EXEC:
            text = _text(sign.fields)
            if text:
                self._learn(sign.subject_id)
            if self._is_check(sign.subject_id, text):
                self._count(sign.subject_id)
                return
            key = (_EXEC, f"{sign.subject_id} {sign.fields.get('execID', '')} {sign.at}")
        elif sign.about == "container" and sign.action in PLUGS:
            key = (_PLUG, sign.subject_id)
        elif sign.about == "container" and sign.action in ("create", "destroy", "commit"):
            self._made.append(sign)
        group = self._groups.setdefault(key, _Group(at, at))
        group.latest = at
        group.signs.append(sign)

    def _read(self, group: _Group) -> None:
        if group.signs[0].action in PLUGS:
            self._read_plugs(group.signs)
            return
        signs = [one for one in group.signs if one.action == "die" or not self._own.claim(one)]
        container_id = signs[0].subject_id if signs and signs[0].about == "container" else ""
        if container_id and any(one.action in ("create", "start", "restart") for one in signs):
            self._learn(container_id)
        past = Past(self._ended.get(container_id, 0.0), self._heard_since)
        for act in acts(signs, self._known.get(container_id, UNKNOWN), past):
            if not self._belongs(act.sign):
                self._tell(act)
        for one in signs:
            self._remember(one)

    def _read_plugs(self, signs: Sequence[Sign]) -> None:
        """Of one container."""
        signs = [one for one in signs if not self._own.claim(one)]
        if not signs:
            return
        try:
            found = self._engine.inspected(signs[0].subject_id)
        except HullmarkError as error:
            _log.debug("not looked up", container=signs[0].subject_id[:12], why=error.message)
            return
        name = str(found.get("Name") or "").lstrip("/")
        for act in plugged(signs, running_since(found)):
            self._tell(Act(act.what, replace(act.sign, name=name)))

    def _remember(self, sign: Sign) -> None:
        if sign.about != "container":
            return
        if sign.action == "die":
            self._ended[sign.subject_id] = sign.at
            while len(self._ended) > KNOWN_MAX:
                self._ended.popitem(last=False)
        elif sign.action in ("destroy", "update"):
            self._known.pop(sign.subject_id, None)

    def _belongs(self, sign: Sign) -> bool:
        return any(belongs(sign, one) for one in self._made)

    def _learn(self, container_id: str) -> None:
        if container_id in self._known:
            return
        try:
            found = self._engine.inspected(container_id)
        except NotFound:
            self._known[container_id] = UNKNOWN
        except HullmarkError as error:
            _log.debug("not looked up", container=container_id[:12], why=error.message)
            return
        else:
            self._known[container_id] = known_of(found)
        while len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)

    # -- telling

    def _tell(self, act: Act) -> None:
        now = self._clock()
        entry = entry_of(act)
        if not self._records.take(now):
            return
        self._note(entry)
        if self._alerts.take(now):
            self._alert(entry)

    def _alert(self, entry: Entry) -> None:
        said = dict(entry.fields)
        text = "done through the engine, not by Hullmark"
        if "program" in said:
            text += f": {said['program']}"
        self._outbox.add(entry.kind, entry.subject, text, container_id=entry.container_id, **said)

    def _tell_more(self) -> None:
        """What was kept back, once there is room again."""
        now = self._clock()
        kept = self._records.release(now)
        if kept:
            reason = f"{kept} more were done than are recorded one by one"
            fields = {"kept_back": str(kept)}
            self._note(_entry(MORE, "this host's engine", reason=reason, fields=fields))
        untold = self._alerts.release(now) + kept
        if untold:
            text = f"{untold} more were done through the engine, not by Hullmark; see the audit log"
            self._outbox.add(MORE, "this host's engine", text, kept_back=str(untold))

    def tell_checks(self) -> None:
        """How many health checks ran since the last time."""
        with self._lock:
            checks, self._checks = self._checks, {}
        since_s, self._counted_at = self._clock() - self._counted_at, self._clock()
        if checks:
            fields = {
                "runs": str(sum(checks.values())),
                "containers": str(len(checks)),
                "seconds": f"{since_s:.0f}",
            }
            self._note(Entry(CHECKS, "this host's engine", origin=LOCAL, fields=fields))


def sign_of(event: EngineEvent) -> Sign:
    """What happens to a network and one of its containers is that one's. Podman has the container's id and name in the place of the network's, and doesn't
    say which network it is."""
    if event.about != "network" or event.action not in PLUGS:
        about, subject_id, name, fields = event.about, event.container_id, event.name, event.fields
    else:
        about, name = "container", ""
        subject_id = event.fields.get("container") or event.container_id
        is_told = subject_id != event.container_id
        fields = {"network": event.name, "network_id": event.container_id} if is_told else {}
    return Sign(about, event.action, subject_id, name, event.at, fields)


def running_since(found: Mapping[str, Any]) -> float:
    """From what `inspect` says of a container. Infinite for one that doesn't run; Docker has one that waits to be restarted as running, too."""
    state = found.get("State") or {}
    runs = str(state.get("Status", "")).lower() in ("running", "paused")
    return seconds(state.get("StartedAt")) if runs else math.inf


def entry_of(act: Act) -> Entry:
    sign = act.sign
    of_container = sign.about == "container"
    instance = parse_container_name(sign.name) if of_container else None
    subject = str(instance) if instance is not None else shown(sign.name or sign.subject_id)
    fields = {"name": shown(sign.name), "happened_at": moment(sign.at)}
    told = (
        *("image", "signal", "imageRef", "imageID", "execID", "exitCode", "driver", "type"),
        *("network", "network_id"),
    )
    fields.update({name: shown(sign.fields[name]) for name in told if sign.fields.get(name)})
    if "oldName" in sign.fields:
        fields["old_name"] = shown(sign.fields["oldName"].lstrip("/"))
    if sign.action == _EXEC and _text(sign.fields):
        program, words = program_of(_text(sign.fields))
        fields.update(program=program, words=str(words))
    if not of_container and sign.subject_id:
        fields["id"] = shown(sign.subject_id)
    return _entry(
        UNMANAGED + act.what,
        subject,
        container_id=sign.subject_id if of_container else "",
        fields=fields,
    )


def _entry(kind: str, subject: str, **more: Any) -> Entry:
    return Entry(kind, subject, by=BY_HAND, actor=Actor.UNKNOWN, origin=LOCAL, **more)


def known_of(found: Mapping[str, Any]) -> Known:
    """From what `inspect` says."""
    config, host = found.get("Config") or {}, found.get("HostConfig") or {}
    check = (config.get("Healthcheck") or {}).get("Test") or ()
    policy = (host.get("RestartPolicy") or {}).get("Name") or "no"
    text = check_text(tuple(map(str, check)), tuple(map(str, config.get("Shell") or ())))
    return Known(text, policy != "no", bool(host.get("AutoRemove")))


def _text(fields: Mapping[str, str]) -> str:
    return fields.get("detail", "").strip()
