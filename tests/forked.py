"""A plugin of pytest (`-p tests.forked --forks N`): tests are collected once, and then run by N processes forked from the one that did.

Where each worker of xdist imports and collects eleven thousand tests anew, these have them from the start, and so cost next to nothing
each: there may be more of them than processors, and one goes on while another waits.

    collected ── groups' numbers ──▶ a pipe ──▶ each worker takes one when it has nothing left to do
    printed   ◀── an item's reports and warnings ── a pipe of each worker's own

A group is what follows in one module, `GROUP` tests at most. What a fixture makes for a module, a package or the session is made anew
in each worker that needs it.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any, Optional, Union

import hypothesis
import pytest
from hypothesis import strategies as st

GROUP = 40
_NUMBER_BYTES = 4


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--forks", type=int, default=0, metavar="N", help="run the tests in N forked processes"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> Optional[bool]:
    """Nothing where there is nothing to share out, or what was collected has errors: pytest's own loop deals with that."""
    forks = session.config.getoption("forks")
    if not forks or session.config.option.collectonly or session.testsfailed or not session.items:
        return None
    groups = list(_groups(session.items))
    if any(
        getattr(getattr(item, "obj", None), "is_hypothesis_test", False) for item in session.items
    ):
        _read_ahead()
    turns, given = os.pipe()
    os.set_blocking(
        given, False
    )  # more groups than the pipe holds is an error, and no wait for ever
    os.write(
        given, b"".join(number.to_bytes(_NUMBER_BYTES, "big") for number in range(len(groups)))
    )
    os.close(given)
    workers: dict[Connection, int] = {}
    try:
        for number in range(min(forks, len(groups))):
            reports, told = Pipe(duplex=False)
            sys.stdout.flush()
            sys.stderr.flush()
            pid = os.fork()
            if not pid:
                _be_worker(session, number, groups, turns, told)
            told.close()
            workers[reports] = pid
        _listen(session, list(workers), turns)
    finally:
        os.close(turns)
        for reports, pid in workers.items():
            reports.close()
            os.kill(pid, signal.SIGKILL)  # one that has ended waits to be asked for
            os.waitpid(pid, 0)
    return True


@hypothesis.settings(max_examples=5)
@hypothesis.given(st.lists(st.text(), min_size=100, max_size=100))
def _read_ahead(_: list[str]) -> None:
    """All that hypothesis gets to know at its first examples, once for all workers: the constants of each module of ours, the characters
    that there are."""


def _groups(items: list[pytest.Item]) -> Iterator[list[pytest.Item]]:
    group: list[pytest.Item] = []
    for item in items:
        if group and (item.path != group[-1].path or len(group) == GROUP):
            yield group
            group = []
        group.append(item)
    yield group


def _listen(session: pytest.Session, open_: list[Connection], turns: int) -> None:
    """Until each worker has said that it is at its end: one that is gone without a word is an error, and so is a test without a report."""
    hook, left = session.config.hook, {item.nodeid for item in session.items}
    while open_:
        for worker in wait(open_):
            assert isinstance(worker, Connection)
            try:
                message = worker.recv()
            except EOFError:
                raise RuntimeError("a worker ended in the middle of its tests") from None
            if message is None:
                open_.remove(worker)
            elif isinstance(message, str):
                raise RuntimeError(f"a worker could not go on:\n{message}")
            elif isinstance(message, dict):
                hook.pytest_warning_recorded.call_historic(kwargs=_warning(message))
            else:
                nodeid, location, reports = message
                left.discard(nodeid)
                hook.pytest_runtest_logstart(nodeid=nodeid, location=location)
                for data in reports:
                    report = hook.pytest_report_from_serializable(config=session.config, data=data)
                    hook.pytest_runtest_logreport(report=report)
                hook.pytest_runtest_logfinish(nodeid=nodeid, location=location)
        if session.shouldfail or session.shouldstop:
            os.read(turns, 1 << 20)  # no more turns: each ends what it has begun
    if session.shouldfail:
        raise session.Failed(session.shouldfail)
    if session.shouldstop:
        raise session.Interrupted(session.shouldstop)
    if left:
        raise RuntimeError(f"{len(left)} tests were not run, {min(left)} among them")


def _warning(message: dict[str, Any]) -> dict[str, Any]:
    return {**message, "warning_message": warnings.WarningMessage(**message["warning_message"])}


def _be_worker(
    session: pytest.Session,
    number: int,
    groups: list[list[pytest.Item]],
    turns: int,
    told: Connection,
) -> None:
    """Doesn't return: what pytest does at the end of a run is the first process's."""
    try:
        _apart(session.config, number)
        _work(session, groups, turns, told)
        told.send(None)
    except BaseException:  # noqa: BLE001 - the first process tells of it
        told.send(traceback.format_exc())
    finally:
        told.close()
        os._exit(0)


def _apart(config: pytest.Config, number: int) -> None:
    """What the processes would share and must not: the screen, the file that captures what tests print, the folder for their files."""
    plugins = config.pluginmanager
    screen: Any = plugins.unregister(name="terminalreporter")
    plugins.register(_Dark(screen), "terminalreporter")
    capture: Any = plugins.getplugin("capturemanager")
    capture.stop_global_capturing()
    capture.start_global_capturing()
    capture.suspend_global_capture()
    folders: Any = config._tmp_path_factory  # type: ignore[attr-defined]
    folder = folders.getbasetemp() / f"worker{number}"
    folder.mkdir(mode=0o700)
    folders._basetemp = folder


def _work(
    session: pytest.Session, groups: list[list[pytest.Item]], turns: int, told: Connection
) -> None:
    teller = _Teller(session.config, told)
    session.config.pluginmanager.register(teller)
    items = _taken(groups, turns)
    item = next(items, None)
    while item is not None:
        following = next(items, None)
        session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        teller.tell(item)
        item = None if session.shouldfail or session.shouldstop else following


def _taken(groups: list[list[pytest.Item]], turns: int) -> Iterator[pytest.Item]:
    while True:
        number = os.read(turns, _NUMBER_BYTES)
        if not number:
            return
        yield from groups[int.from_bytes(number, "big")]


class _Dark:
    """In place of the terminal's plugin, which others ask how wide it is and what it shows in colour: it has no hook, so it writes nothing."""

    def __init__(self, screen: Any) -> None:
        self._tw = screen._tw


class _Teller:
    """A worker's own plugin: what the terminal would have been told goes to the first process, an item at a time."""

    def __init__(self, config: pytest.Config, told: Connection) -> None:
        self._config, self._told = config, told
        self._reports: list[dict[str, Any]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._reports.append(
            self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        )

    def pytest_warning_recorded(
        self,
        warning_message: warnings.WarningMessage,
        when: str,
        nodeid: str,
        location: Optional[tuple[str, int, str]],
    ) -> None:
        said: dict[str, Union[str, int, type]] = {
            "message": str(warning_message.message),
            "category": warning_message.category,
            "filename": warning_message.filename,
            "lineno": warning_message.lineno,
        }
        self._told.send(
            {"warning_message": said, "when": when, "nodeid": nodeid, "location": location}
        )

    def tell(self, item: pytest.Item) -> None:
        reports, self._reports = self._reports, []
        self._told.send((item.nodeid, item.location, reports))
