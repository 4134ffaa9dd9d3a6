"""What an engine's events say that somebody did: pure.

An engine tells of one act by several events, and of much that nobody did: a container that ended by itself, a restart by the
engine's own policy, a health check. `acts` makes of the events of one container, image, network or volume what somebody did to it.

    create, attach, start, die, destroy   ->  run        (docker run --rm)
    kill, kill, die, stop, start, restart ->  restart    (docker restart)
    pause, commit, unpause                ->  commit
    die, start                            ->  nothing, where the engine's own restart policy says so
    disconnect, of one that runs on       ->  network-disconnect
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Optional

RUN, CREATE, START, STOP, RESTART, KILL = "run", "create", "start", "stop", "restart", "kill"
REMOVE, ATTACH, PAUSE, UNPAUSE, COMMIT = "remove", "attach", "pause", "unpause", "commit"
EXEC = "exec"
_ALONE = {
    "exec_create": EXEC,
    "rename": "rename",
    "update": "update",
    "archive-path": "copy-out",
    "extract-to-dir": "copy-in",
    "copy": "copy-out",
    "export": "export",
    "checkpoint": "checkpoint",
    "restore": "restore",
}
_IMAGE = ("pull", "load", "import", "build", "push", "save", "delete", "untag", "tag")
PLUGS = {"connect": "network-connect", "disconnect": "network-disconnect"}
"""Of a container and one of its networks."""
BY_ENGINE_S = 75.0
"""How long after a container's end its engine may start it again by itself: Docker waits a minute at most."""
AFTER_CONNECT_S = 60.0
"""How long after its engine is there again a start may be the engine's own."""
BESIDE_S = 1.0
"""How far from each other events of one act are, where nothing but their time joins them."""
_UNNAMED = re.compile("[0-9a-f]{64}")
"""How engines name a volume that nobody named."""
TEXT_MAX = 200
"""Characters of a name that are kept."""


@dataclass(frozen=True)
class Sign:
    """One event. `about` is `container`, `image`, `network` or `volume`; `action` as Docker names it; `at` is seconds since
    1970, by the engine."""

    about: str
    action: str
    subject_id: str
    name: str
    at: float
    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        return self.about, self.subject_id or self.name


@dataclass(frozen=True)
class Known:
    """What is known of a container. `check` is the text by which its engine tells of its health check; `restarts`: the engine
    starts it again by itself; `removes`: and removes it when it has ended."""

    check: str = ""
    restarts: bool = False
    removes: bool = False


UNKNOWN = Known()


@dataclass(frozen=True)
class Act:
    """What somebody did, and the event that says most of it."""

    what: str
    sign: Sign


@dataclass(frozen=True)
class Past:
    """What came before these events: when the container ended last, and since when the engine's events are heard."""

    ended_at: float = 0.0
    heard_since: float = 0.0


NO_PAST = Past()


def acts(signs: Sequence[Sign], known: Known = UNKNOWN, past: Past = NO_PAST) -> tuple[Act, ...]:
    """Of one subject, in their order. None of them is one of our own deeds."""
    about = signs[0].about if signs else ""
    if about == "container":
        reading = _Reading(known, past)
        for sign in signs:
            reading.take(sign)
        return tuple(reading.acts)
    if about == "image":
        return tuple(_of_image(signs))
    words = {"create": f"{about}-create", "destroy": f"{about}-remove"}
    return tuple(Act(words[one.action], one) for one in signs if one.action in words)


def plugged(signs: Sequence[Sign], running_since: float) -> Iterable[Act]:
    """Of one container's networks, in their order. An engine tells the same with each start and end of a container: what somebody did, was done to one
    that ran before and runs on. `running_since`: infinite for one that doesn't run. Docker tells twice of who is taken off."""
    former: Optional[Sign] = None
    for sign in signs:
        if sign.at <= running_since:
            continue
        twice = former is not None and (former.action, former.fields) == (sign.action, sign.fields)
        if former is None or not (twice and sign.fields) or sign.at - former.at > BESIDE_S:
            yield Act(PLUGS[sign.action], sign)
        former = sign


class _Reading:
    """Of one container's events, from the first to the last."""

    def __init__(self, known: Known, past: Past) -> None:
        self._known = known
        self._past = past
        self._ended_at = past.ended_at
        self._stopped = False
        self._paused_for_commit = False
        self._parts: frozenset[str] = frozenset()
        self._cleaned = 0
        self.acts: list[Act] = []

    def take(self, sign: Sign) -> None:
        action = sign.action
        if action in _ALONE:
            self.acts.append(Act(_ALONE[action], sign))
        elif action == "die":
            self._ended_at, self._cleaned = sign.at, 0
        else:
            takes = getattr(self, f"_{action}", None)
            if takes is not None:
                takes(sign)

    def _last(self, *whats: str) -> bool:
        return bool(self.acts) and self.acts[-1].what in whats

    def _become(self, what: str, sign: Sign) -> None:
        self.acts[-1:] = [Act(what, sign)]

    def _create(self, sign: Sign) -> None:
        self.acts.append(Act(CREATE, sign))

    def _attach(self, sign: Sign) -> None:
        if not self._last(CREATE, RUN, START):
            self.acts.append(Act(ATTACH, sign))

    def _start(self, sign: Sign) -> None:
        if self._last(CREATE):
            self._become(RUN, sign)
        elif self._last(ATTACH):
            self._become(START, sign)
        elif START not in self._parts and not self._is_engines(sign):
            self.acts.append(Act(START, sign))
        self._parts, self._stopped = frozenset(), False

    def _kill(self, sign: Sign) -> None:
        if not self._last(KILL):
            self.acts.append(Act(KILL, sign))
        self._stopped = True

    def _stop(self, sign: Sign) -> None:
        if self._last(KILL):
            self._become(STOP, sign)
        elif STOP not in self._parts:
            self.acts.append(Act(STOP, sign))
        self._parts, self._stopped = self._parts - {STOP}, True

    def _cleanup(self, sign: Sign) -> None:
        """Podman's word for a container that ended. It says it twice of one that was stopped, and tells of the stop itself only
        where it is faster than its own clean-up."""
        self._cleaned += 1
        if self._cleaned == 2 and not self._stopped:
            self._stop(sign)

    def _restart(self, sign: Sign) -> None:
        """Docker tells it last, Podman first, and Podman also of one by its own policy."""
        if self._last(START):
            self.acts.pop()
            if self._last(STOP):
                self.acts.pop()
        elif self._is_engines(sign):
            return
        else:
            self._parts = frozenset([STOP, START])
        self.acts.append(Act(RESTART, sign))

    def _pause(self, sign: Sign) -> None:
        self.acts.append(Act(PAUSE, sign))

    def _commit(self, sign: Sign) -> None:
        self._paused_for_commit = self._last(PAUSE)
        if self._paused_for_commit:
            self.acts.pop()
        self.acts.append(Act(COMMIT, sign))

    def _unpause(self, sign: Sign) -> None:
        if self._paused_for_commit:
            self._paused_for_commit = False
        else:
            self.acts.append(Act(UNPAUSE, sign))

    def _destroy(self, sign: Sign) -> None:
        """Docker tells of no stop where it is removed by force."""
        ended = self._ended_at > 0 and sign.at - self._ended_at < BY_ENGINE_S
        if self._last(KILL):
            self._become(REMOVE, sign)
        elif not (ended and (self._known.removes or self._last(RUN))):
            self.acts.append(Act(REMOVE, sign))

    def _is_engines(self, sign: Sign) -> bool:
        """Whether the engine may have started it by its own policy."""
        if not self._known.restarts or self._stopped:
            return False
        since_end_s, heard_s = sign.at - self._ended_at, sign.at - self._past.heard_since
        return 0 <= since_end_s < BY_ENGINE_S or 0 <= heard_s < AFTER_CONNECT_S


def _of_image(signs: Sequence[Sign]) -> Iterable[Act]:
    actions = {one.action for one in signs}
    brought = actions & {"pull", "load", "import", "build"}
    deleted = False
    for one in signs:
        if one.action not in _IMAGE or (one.action == "tag" and brought):
            continue
        if one.action in ("untag", "delete") and "delete" in actions:
            if deleted:
                continue
            deleted = True
            yield Act("image-delete", one)
        else:
            yield Act(f"image-{one.action}", one)


def belongs(sign: Sign, other: Sign) -> bool:
    """Whether it is a part of what was done to a container: Docker makes a volume just before the container that has it, a volume
    without a name goes with it, and the image that a commit made is named."""
    after_s = other.at - sign.at
    if sign.about == "volume" and other.action == sign.action:
        if sign.action == "create":
            return 0.0 <= after_s <= BESIDE_S
        return bool(_UNNAMED.fullmatch(sign.name)) and abs(after_s) <= BESIDE_S
    if (sign.about, sign.action, other.action) == ("image", "tag", "commit"):
        made = other.fields.get("imageID", "")
        return made == sign.subject_id if made else abs(after_s) <= BESIDE_S
    return False


def check_text(test: Sequence[str], shell: Sequence[str] = ()) -> str:
    """How an engine tells of a health check's command: its words with a space between them."""
    if len(test) < 2 or test[0] == "NONE":
        return ""
    words = list(test[1:])
    if test[0] == "CMD-SHELL":
        words = [*(shell or ("/bin/sh", "-c")), *words]
    return " ".join(words).strip()


def program_of(command: str) -> tuple[str, int]:
    """A command's first word, and how many it has. The others may be secrets."""
    words = command.split()
    return (shown(words[0]) if words else ""), len(words)


def shown(text: str) -> str:
    """Somebody else's text as a short line."""
    return "".join(each for each in text if each.isprintable())[:TEXT_MAX]
