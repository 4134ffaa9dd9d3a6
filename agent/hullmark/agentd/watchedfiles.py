"""Watched files: what changed is recorded and told, at once where inotify works, and by comparing all of them in any case.

What the files were is kept in the state folder, so that a change while the agent was not running is told at its start. Each change
is a record; what changed lately makes a check fail for some time, and so an outage with its alert. What an upgrade of Hullmark changed of
its own program is recorded, and no more.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Optional

import hullmark
from hullmark import log
from hullmark.agentd import pulse
from hullmark.agentd.asked import LOCAL
from hullmark.core.filechanges import away, compare, is_within, unsafe, within
from hullmark.errors import InvalidInput
from hullmark.host import filepicture
from hullmark.host.eye import Eye
from hullmark.host.filepicture import FILES_MOST
from hullmark.host.filewatch import FileWatch
from hullmark.model import jsontext
from hullmark.model.audit import BY_HAND, Actor, Entry, Outcome
from hullmark.model.control import Reading, Trouble
from hullmark.model.watchedfile import FileChange, FileState
from hullmark.model.wire import from_wire, to_wire

FILE = "watched.json"
CHANGED = "file.changed"
UNCHANGED = "watchedfiles.unchanged"
LOOK_S = 1.0
SETTLE_S = 0.5
"""What is written in parts is looked at when it is done."""
COMPARE_S = 600.0
AFRESH_S = 86400.0
"""How often each file is read again, whatever its times say."""
SHARE = 0.1
"""How much of one core reading files may take."""
RECORDED_MOST = 100
"""Changes at a time that get a record each; the rest are counted."""

_log = log.get("files")

OWN = str(Path(hullmark.__file__).parent)
PROGRAMS = (
    *(OWN, "/usr/bin/hullmark", "/usr/share/hullmark"),
    "/usr/lib/systemd/system/hullmark-agent.service",
)
RECENT_MOST = 50
RECENT_S = 86400.0
"""Changes that checks are told of."""
UPGRADED = "with an upgrade of Hullmark from"


class WatchedFiles:
    """`run` is one thread's; the looks are anybody's. `changed` is called after something did."""

    def __init__(
        self,
        folder: Path,
        run_dir: Path,
        also: tuple[str, ...],
        note: Callable[[Entry], None],
        changed: Callable[[], None],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._file = folder / FILE
        self._canaries = run_dir / "canaries"
        self._note = note
        self._changed = changed
        self._wall = wall
        self._lock = threading.Condition()
        self._wanted: set[str] = set(also)
        self._places: tuple[str, ...] = ()
        self._picture: dict[str, FileState] = {}
        self._absent: dict[str, FileState] = {}  # sockets, those that are longest gone first
        self._known: tuple[str, ...] = ()
        self._troubles: tuple[str, ...] = ()
        self._compared_at = 0.0
        self._read_at = 0.0
        self._changes = 0
        self._recent: list[tuple[float, str]] = []
        self._former = hullmark.__version__
        self._seen: set[str] = set()
        self._watch: Optional[FileWatch] = None

    # -- looks of checks

    def looks(self) -> Mapping[str, Callable[[Eye, Mapping[str, object]], tuple[Reading, ...]]]:
        """By kind of check."""
        return {
            "watchedfiles.watch": self.look_watch,
            UNCHANGED: self.look_unchanged,
            "watchedfiles.safe": self.look_safe,
        }

    def look_watch(self, eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
        self._want(given)
        now = self._wall()
        with self._lock:
            watch, troubles, places = self._watch, self._troubles, self._places
            compared_at, files, changes = self._compared_at, len(self._picture), self._changes
        if watch is None:
            return (
                Reading(
                    "watch",
                    "watched files",
                    trouble=Trouble.FAILED,
                    errors="the watch does not run",
                    at=now,
                ),
            )
        facts = {
            "files": str(files),
            "folders": str(watch.folders),
            "changes": str(changes),
            "realtime": "yes" if watch.works else "no",
        }
        if compared_at and places:
            facts["compared_at"] = f"{compared_at:.3f}"
        missing = watch.missing if watch.works else ()
        reading = Reading(
            "watch",
            "inotify, and comparing all files",
            text="\n".join((*troubles, *missing)),
            errors="" if watch.works else "; ".join(watch.missing),
            facts=facts,
            at=now,
        )
        watching = watch.works and "compared_at" in facts
        return (reading, self._try_canary(eye)) if watching else (reading,)

    def look_safe(self, eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
        self._want(given)
        with self._lock:
            places = _paths(given)
            picture = within(self._picture, places) if self._compared_at else None
        facts = {} if picture is None else {"files": str(len(picture))}
        text = "\n".join(unsafe(picture)) if picture else ""
        return (
            Reading("safe", "owner and mode of watched files", text, facts=facts, at=self._wall()),
        )

    def look_unchanged(self, eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
        self._want(given)
        with self._lock:
            places, compared = _paths(given), bool(self._compared_at)
            recent = [one for one in self._recent if is_within(one[1].split(" ", 1)[0], places)]
        facts = {}
        if compared:
            newest = max((at for at, _ in recent), default=0.0)
            facts = {"changes": str(len(recent)), "newest": f"{newest:.3f}"}
        text = "\n".join(text for _, text in reversed(recent))
        return (Reading("changes", "watched files", text, facts=facts, at=self._wall()),)

    def _want(self, given: Mapping[str, object]) -> None:
        with self._lock:
            self._wanted.update(_paths(given))

    def _try_canary(self, eye: Eye) -> Reading:
        """A file of this name is made, and the watch has to say so."""
        nonce = eye.nonce()
        path = str(self._canaries / f"canary-{nonce}")
        try:
            Path(path).touch(mode=0o600)
            with self._lock:
                while path not in self._seen and eye.left_s > 0.2:
                    self._lock.wait(0.2)
                seen = path in self._seen
                self._seen.clear()
            Path(path).unlink()
        except OSError as error:
            return Reading(
                "canary", path, errors=str(error), trouble=Trouble.FAILED, at=self._wall()
            )
        return Reading(
            "canary", path, facts={"nonce": nonce, "seen": "yes" if seen else "no"}, at=self._wall()
        )

    # -- the loop

    def run(self, stopping: threading.Event) -> None:
        watch = FileWatch()
        self._picture, self._known = self._load()
        with suppress(OSError):
            self._canaries.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._lock:
            self._watch = watch
        try:
            self._turn(watch, frozenset(), False)
            while not stopping.is_set():
                pulse.within(LOOK_S)
                touched, overflowed = watch.wait(LOOK_S)
                if not watch.works:
                    stopping.wait(LOOK_S)
                self._turn(watch, touched, overflowed)
        finally:
            with self._lock:
                self._watch = None
            watch.close()

    def _turn(self, watch: FileWatch, touched: frozenset[str], overflowed: bool) -> None:
        canaries = {path for path in touched if path.startswith(f"{self._canaries}/")}
        if canaries:
            with self._lock:
                self._seen |= canaries
                self._lock.notify_all()
        with self._lock:
            places = tuple(sorted(self._wanted))
        new = places != self._places
        now = self._wall()
        due = not 0.0 <= now - self._compared_at < COMPARE_S
        if new or due or overflowed:
            self._compare(watch, places, now)
        else:
            some = {path for path in touched - canaries if is_within(path, places)}
            if some:
                time.sleep(SETTLE_S)
                self._look_at(watch, some)

    def _compare(self, watch: FileWatch, places: tuple[str, ...], now: float) -> None:
        watch.watch([*filepicture.folders(places), str(self._canaries)])
        afresh = not 0.0 <= now - self._read_at < AFRESH_S
        picture, troubles = filepicture.take(
            places, self._picture, afresh=afresh, read=_slowly(SHARE)
        )
        # Files of a place that was not watched before are no news.
        known = tuple(place for place in places if place in self._known)
        changes = compare(within(self._remembered(), known), within(picture, known))
        if afresh:
            self._read_at = now
        with self._lock:
            self._places, self._troubles, self._compared_at = places, troubles, self._wall()
        self._take(picture, changes, places)

    def _look_at(self, watch: FileWatch, paths: set[str]) -> None:
        """At these paths alone, with all that is in them."""
        part, _ = filepicture.take(sorted(paths), self._picture, read=_slowly(SHARE))
        some = tuple(paths)
        changes = compare(within(self._remembered(), some), part)
        rest = {path: state for path, state in self._picture.items() if not is_within(path, some)}
        watch.watch(filepicture.folders(some))
        self._take({**rest, **part}, changes, self._known)

    def _take(
        self,
        picture: dict[str, FileState],
        changes: tuple[FileChange, ...],
        known: tuple[str, ...],
    ) -> None:
        before = self._remembered()
        gone = within(away(before, picture), known)
        absent = dict(list(gone.items())[-FILES_MOST:])
        moved = changes or known != self._known or before.keys() != {*absent, *picture}
        with self._lock:
            self._picture, self._absent, self._known = picture, absent, known
            self._changes += len(changes)
        if changes:
            self._record(changes)
        if moved:
            self._save()
        if changes:
            self._changed()

    def _remembered(self) -> dict[str, FileState]:
        """What is there, and sockets that were: what comes in their place is compared with that."""
        return {**self._absent, **self._picture}

    def _record(self, changes: tuple[FileChange, ...]) -> None:
        former, self._former = self._former, hullmark.__version__
        upgraded = former != hullmark.__version__
        news = [one for one in changes if not (upgraded and is_within(one.path, PROGRAMS))]
        for change in news[:RECORDED_MOST]:
            self._note(_entry(change))
        more, own = len(news) - RECORDED_MOST, len(changes) - len(news)
        if more > 0:
            fields = {"files": str(more)}
            self._note(_of_others(f"{more} files", "and more at the same time", fields))
        if own > 0:
            what, fields = f"{UPGRADED} {former} to {hullmark.__version__}", {"files": str(own)}
            entry = Entry(CHANGED, f"{own} files", origin=LOCAL, reason=what, fields=fields)
            self._note(entry)
        now = self._wall()
        with self._lock:
            kept = [one for one in self._recent if now - one[0] < RECENT_S]
            self._recent = [*kept, *((now, str(one)) for one in news)][-RECENT_MOST:]

    # -- between two lives of the agent

    def _load(self) -> tuple[dict[str, FileState], tuple[str, ...]]:
        try:
            kept = jsontext.loads(self._file.read_text())
            files = {path: from_wire(FileState, state) for path, state in kept["files"].items()}
            recent = [(float(at), str(text)) for at, text in kept["recent"]]
            with self._lock:
                self._recent = [*recent, *self._recent]
            self._former = str(kept["version"])
            return files, tuple(str(place) for place in kept["places"])
        except FileNotFoundError:
            return {}, ()
        except (OSError, ValueError, KeyError, AttributeError, TypeError, InvalidInput) as error:
            _log.error("what watched files were is lost", file=self._file, why=str(error))
            self._note(
                Entry(
                    "file.unknown",
                    str(self._file),
                    outcome=Outcome.FAILURE,
                    origin=LOCAL,
                    reason="what the watched files were before can't be read, so changes since then are not told",
                )
            )
            return {}, ()

    def _save(self) -> None:
        kept: dict[str, Any] = {
            "version": hullmark.__version__,
            "places": list(self._known),
            "recent": [list(one) for one in self._recent],
            "files": {path: to_wire(state) for path, state in self._remembered().items()},
        }
        draft = self._file.with_name(f".{FILE}.new")
        try:
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:  # noqa: PTH123 - of a descriptor
                json.dump(kept, file)
            draft.replace(self._file)
        except OSError as error:
            _log.error("what watched files are is not kept", file=self._file, why=str(error))


def _paths(given: Mapping[str, object]) -> tuple[str, ...]:
    paths = given.get("paths")
    return tuple(str(path) for path in paths) if isinstance(paths, (tuple, list)) else ()


def _entry(change: FileChange) -> Entry:
    fields = {"what": change.what}
    for name, old, new in zip(change.fields, change.was, change.is_now):
        fields[f"{name}_was"], fields[name] = old, new
    return _of_others(change.path, str(change), fields)


def _of_others(subject: str, reason: str, fields: Mapping[str, str]) -> Entry:
    """A file doesn't say who changed it."""
    return Entry(
        CHANGED,
        subject,
        by=BY_HAND,
        actor=Actor.UNKNOWN,
        origin=LOCAL,
        reason=reason,
        fields=fields,
    )


def _slowly(share: float) -> Callable[[int], None]:
    """Waits after each part, so that reading takes no more of a core than this."""
    began = time.thread_time()
    waited = 0.0

    def read(_: int) -> None:
        nonlocal waited
        due = (time.thread_time() - began) * (1 / share - 1)
        if due - waited > 0.05:
            time.sleep(min(due - waited, 1.0))
            waited = due

    return read
