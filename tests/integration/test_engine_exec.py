"""Commands in containers, on every engine: what they write, how they end, and how they are ended."""

from __future__ import annotations

import base64
import subprocess
import threading
import time
from dataclasses import replace

import pytest

from hullmark.agentd.executing import NOBODY_LISTENS, Running
from hullmark.engine.protocol import Command
from hullmark.errors import Conflict, HullmarkError, NotFound, Refused
from hullmark.host.processes import kill_with_children
from hullmark.model import jsontext
from hullmark.model.app import ContainerSpec
from hullmark.model.execution import ExecRecord
from hullmark.model.wire import from_wire
from tests.integration.shipyard import IMAGE, Yard, single

one_engine = pytest.mark.parametrize(
    "engine", ["docker", pytest.param("podman", marks=pytest.mark.full)], indirect=True
)
"""For what no engine has a part in."""
WEB = ContainerSpec(IMAGE, stop_grace_s=0, command=("sleep", "600"))


class Listener:
    """Takes what a command writes, as the one who reads for a leader does."""

    def __init__(self, limit_s: float = 60.0) -> None:
        self.running = Running(limit_s, kill_with_children)
        self.written: dict[str, bytes] = {"stdout": b"", "stderr": b""}
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        for line in self.running.lines():
            if line.strip():
                record = from_wire(ExecRecord, jsontext.loads(line))
                if record.stream:
                    self.written[record.stream] += base64.b64decode(record.data)

    def run(self, yard: Yard, container_id: str, *words: str, **more: str) -> int:
        try:
            return yard.engine.execute(container_id, Command(words, **more), self.running)
        finally:
            self.running.close(ExecRecord(exit_code=0))
            if NOBODY_LISTENS not in self.running.ended:
                self._thread.join(10)


def test_output_is_exact_and_the_exit_code_is_the_commands(yard: Yard) -> None:
    here = yard.run(single("shop", WEB))
    quick = Listener()
    script = "printf 'a\\0b\\n'; echo oops >&2; exit 7"
    assert quick.run(yard, here, "sh", "-c", script) == 7
    assert quick.written == {"stdout": b"a\0b\n", "stderr": b"oops\n"}
    much = Listener()
    assert much.run(yard, here, "sh", "-c", "head -c 3000000 /dev/zero") == 0
    assert much.written["stdout"] == bytes(3_000_000)
    elsewhere = Listener()
    script = "id -u; pwd"
    assert elsewhere.run(yard, here, "sh", "-c", script, user="1000", working_dir="/tmp") == 0
    assert elsewhere.written["stdout"] == b"1000\n/tmp\n"
    assert Listener().run(yard, here, "sh", "-c", "true") == 0
    found = attempt(yard, here, "/no/such/file")
    assert found in ("126", "127") or "/no/such/file" in found, (
        "engines differ in where they say it"
    )


def attempt(yard: Yard, container_id: str, *words: str) -> str:
    """The exit code, or the error's text."""
    try:
        return str(Listener().run(yard, container_id, *words))
    except HullmarkError as error:
        return error.message


def test_output_comes_while_the_command_goes_on(yard: Yard) -> None:
    here = yard.run(single("shop", WEB))
    listener = Listener()
    work = threading.Thread(
        target=listener.run, args=(yard, here, "sh", "-c", "echo early; sleep 1.5; echo late")
    )
    began = time.monotonic()
    work.start()
    while listener.written["stdout"] != b"early\n" and time.monotonic() - began < 10:
        time.sleep(0.02)
    took_s = time.monotonic() - began
    assert listener.written["stdout"] == b"early\n"
    assert took_s < 1.4
    work.join(10)
    assert listener.written["stdout"] == b"early\nlate\n"


def marked(number: str) -> bool:
    """Whether any process of the machine has this number among its words."""
    found = subprocess.run(["pgrep", "-f", f"sleep {number}"], stdout=subprocess.PIPE, check=False)
    return found.returncode == 0


def test_one_past_its_time_limit_leaves_no_process(yard: Yard) -> None:
    _leaves_no_process(yard, "limit")


@one_engine
def test_one_whose_listener_went_away_leaves_no_process(yard: Yard) -> None:
    _leaves_no_process(yard, "gone")


def _leaves_no_process(yard: Yard, why: str) -> None:
    number = f"6{int(time.time() * 1000) % 10**6:06d}"
    here = yard.run(single("shop", WEB))
    listener = Listener(1.0 if why == "limit" else 60.0)
    if why == "gone":
        threading.Timer(1.0, listener.running.end, [NOBODY_LISTENS]).start()
    seen: list[bool] = []
    threading.Timer(0.7, lambda: seen.append(marked(number))).start()
    began = time.monotonic()
    with pytest.raises(Refused, match="time limit of 1 s" if why == "limit" else "went away"):
        listener.run(yard, here, "sh", "-c", f"sleep {number} & sleep {number}")
    assert time.monotonic() - began < 10
    assert seen == [True], "else nothing was there to be ended"
    assert not marked(number)
    assert yard.engine.container(here).state.value == "running"


def test_what_does_not_run_takes_no_command(yard: Yard) -> None:
    here = yard.create(single("shop", replace(WEB, command=("true",))))
    with pytest.raises((Conflict, Refused)):
        Listener().run(yard, here, "true")
    with pytest.raises(NotFound):
        Listener().run(yard, "0" * 64, "true")
    theirs = yard.sdk.containers.run(IMAGE, ["sleep", "600"], detach=True)
    try:
        with pytest.raises(Refused, match="not one of ours"):
            Listener().run(yard, str(theirs.id), "true")
    finally:
        theirs.remove(force=True)
