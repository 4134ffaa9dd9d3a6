"""How two pictures of watched files differ, and what of them others could change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hullmark.model.watchedfile import FIELDS, FileChange, FileState

Picture = Mapping[str, FileState]
SOCKET = "socket"


def compare(before: Picture, after: Picture) -> tuple[FileChange, ...]:
    """By path. Both are of the same places: what only one of them looked at would count as added or removed. A socket comes and goes with whoever
    listens on it, as an engine that starts: that is no change, unlike another owner, mode or kind than it had (see `away`)."""
    return tuple(_changes(before, after))


def _changes(before: Picture, after: Picture) -> Iterator[FileChange]:
    for path in sorted({*before, *after}):
        was, now = before.get(path), after.get(path)
        if was is None:
            if now is not None and now.kind != SOCKET:
                yield FileChange(path, "added")
        elif now is None:
            if was.kind != SOCKET:
                yield FileChange(path, "removed")
        else:
            fields = tuple(name for name in FIELDS if _differs(name, was, now))
            if fields:
                old = tuple(str(getattr(was, name)) for name in fields)
                new = tuple(str(getattr(now, name)) for name in fields)
                yield FileChange(path, "changed", fields, old, new)


def away(before: Picture, after: Picture) -> dict[str, FileState]:
    """Sockets that are not there now, as they were: what comes in their place is compared with that."""
    return {
        path: state for path, state in before.items() if state.kind == SOCKET and path not in after
    }


def _differs(name: str, was: FileState, now: FileState) -> bool:
    if name == "sha256" and (was.unread or now.unread):
        # One that can't be read for the moment is told as that, by whoever looks; its content is compared when it can.
        return False
    return bool(getattr(was, name) != getattr(now, name))


def within(picture: Picture, places: tuple[str, ...]) -> dict[str, FileState]:
    """What of a picture is at or below these places."""
    return {path: state for path, state in picture.items() if is_within(path, places)}


def is_within(path: str, places: tuple[str, ...]) -> bool:
    return any(path == place or path.startswith(place.rstrip("/") + "/") for place in places)


def unsafe(picture: Picture) -> tuple[str, ...]:
    """What others than root could write, in words. A link's own mode says nothing. Sockets belong to a group that was given them, so of
    these only everybody counts."""
    return tuple(_unsafe(picture))


def _unsafe(picture: Picture) -> Iterator[str]:
    for path, state in sorted(picture.items()):
        if state.kind == "link":
            continue
        mode = int(state.mode, 8)
        if mode & 0o002 and not (state.kind == "folder" and mode & 0o1000):
            yield f"{path} can be written by everybody (mode {state.mode})"
        elif state.kind != SOCKET and state.uid != 0:
            yield f"{path} belongs to user {state.uid}, not to root"
        elif state.kind != SOCKET and mode & 0o020 and state.gid != 0:
            yield f"{path} can be written by group {state.gid} (mode {state.mode})"
