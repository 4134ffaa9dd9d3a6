"""What of some folders the kernel says has changed, by inotify(7).

pyinotify is the distributions' own; where it isn't installed, or the kernel takes no more watches, `missing` says so, and whoever
uses this looks at an interval only.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any, Optional

FOLDERS_MOST = 10_000
NOT_INSTALLED = "pyinotify is not installed: files are compared at an interval only"


class FileWatch:
    """`wait` is one thread's. `close` ends it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._touched: set[str] = set()
        self._overflowed = False
        self._watched: set[str] = set()
        self.missing: tuple[str, ...] = ()
        self._manager: Any = None
        self._notifier: Any = None
        try:
            import pyinotify  # noqa: PLC0415 - only who watches has it in memory
        except ImportError:
            self.missing = (NOT_INSTALLED,)
            return
        self._library = pyinotify
        try:
            self._manager = pyinotify.WatchManager()
            self._notifier = pyinotify.Notifier(self._manager, self._take)
        except OSError as error:
            self.missing = (f"the kernel gives no inotify: {error.strerror}",)

    @property
    def works(self) -> bool:
        return self._notifier is not None

    @property
    def folders(self) -> int:
        """How many are watched."""
        return len(self._watched)

    def watch(self, folders: Iterable[str]) -> None:
        """These too. Those that are watched already stay as they are; `missing` says which can't be."""
        if not self.works:
            return
        library = self._library
        mask = (
            library.IN_MODIFY
            | library.IN_ATTRIB
            | library.IN_CREATE
            | library.IN_DELETE
            | library.IN_MOVED_FROM
            | library.IN_MOVED_TO
            | library.IN_DELETE_SELF
            | library.IN_MOVE_SELF
            | library.IN_ONLYDIR
        )
        failed: list[str] = []
        for folder in sorted({*folders} - self._watched):
            if len(self._watched) >= FOLDERS_MOST:
                failed.append(f"{folder} and others: more than {FOLDERS_MOST} folders")
                break
            found = self._manager.add_watch(folder, mask, quiet=True)
            if found.get(folder, -1) > 0:
                self._watched.add(folder)
            else:
                failed.append(f"{folder}: the kernel takes no watch (see fs.inotify in sysctl)")
        self.missing = tuple(failed)

    def wait(self, timeout_s: float) -> tuple[frozenset[str], bool]:
        """Paths that something happened to, and whether the kernel lost some; after `timeout_s` at the latest."""
        if self._notifier is not None and self._notifier.check_events(int(timeout_s * 1000)):
            self._notifier.read_events()
            self._notifier.process_events()
        with self._lock:
            touched, self._touched = self._touched, set()
            overflowed, self._overflowed = self._overflowed, False
        return frozenset(touched), overflowed

    def close(self) -> None:
        if self._notifier is not None:
            self._notifier.stop()
            self._notifier = None

    def _take(self, event: Any) -> None:
        library = self._library
        with self._lock:
            if event.mask & library.IN_Q_OVERFLOW:
                self._overflowed = True
                return
            if event.mask & (library.IN_IGNORED | library.IN_DELETE_SELF | library.IN_MOVE_SELF):
                self._watched.discard(event.path)
            path: Optional[str] = event.pathname or event.path
            if path:
                self._touched.add(path)
