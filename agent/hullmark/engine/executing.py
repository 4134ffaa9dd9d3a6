"""Commands in containers: begun over the Docker API, read to their end, and asked for their exit code.

The engine's answer to the start is a stream without a length, in the frames that `logstream` describes. A frame is read as soon
as it is whole. Hanging up does not end a command, and the API has no word for that: who has it run may end its process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Optional

from hullmark.engine.connection import Connection, Stream, segment
from hullmark.engine.protocol import Attendant, Command, Deed, DeedKind, Gate
from hullmark.errors import EngineUnavailable, Refused

READ_BYTES = 64 << 10
ENDS_WITHIN_S = 5.0
"""An engine may close a command's output a moment before it knows its exit code."""
LOOK_S = 0.05
_STREAMS = {1: "stdout", 2: "stderr"}


class Execution:
    """A command that was begun. May be used from any thread."""

    def __init__(self, connection: Connection, exec_id: str, stream: Stream) -> None:
        self._connection = connection
        self._exec_id = exec_id
        self._stream = stream

    def pid(self) -> int:
        """Of its first process, as the host counts; 0 where it has ended or that isn't known. Raises as engines do."""
        found = inspect(self._connection, self._exec_id)
        return int(found.get("Pid") or 0) if found.get("Running") else 0

    def cut(self) -> None:
        """Read no more of it."""
        self._stream.cut()


def body(command: Command) -> dict[str, Any]:
    """No input, no terminal, no privileges."""
    made: dict[str, Any] = {
        "AttachStdout": True,
        "AttachStderr": True,
        "Cmd": list(command.words),
    }
    if command.user:
        made["User"] = command.user
    if command.working_dir:
        made["WorkingDir"] = command.working_dir
    return made


def execute(
    connection: Connection,
    gate: Gate,
    found: Mapping[str, Any],
    command: Command,
    attendant: Attendant,
) -> int:
    """The exit code. `found` is what `inspect` says of the container. Raises Refused where the attendant ended it."""
    container_id, made = str(found["Id"]), body(command)
    name = str(found.get("Name", "")).lstrip("/")
    with gate.passing(Deed(DeedKind.CONTAINER_EXEC, name, made, container_id)) as passage:
        path = f"/containers/{segment(container_id)}/exec"
        exec_id = str(connection.post(path, made)["Id"])
        passage.fields["exec_id"] = exec_id
        path, start = f"/exec/{segment(exec_id)}/start", {"Detach": False, "Tty": False}
        with connection.stream("POST", path, {}, body=start) as stream:
            attendant.begun(Execution(connection, exec_id, stream))
            for source, data in frames(stream.read):
                attendant.take(source, data)
        if attendant.ended:
            raise Refused(f"the command was ended: {attendant.ended}")
        code = _exit_code(connection, exec_id)
        passage.fields["exit_code"] = str(code)
    return code


def inspect(connection: Connection, exec_id: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = connection.get(f"/exec/{segment(exec_id)}/json")
    return found


def frames(read: Callable[[int], bytes]) -> Iterator[tuple[str, bytes]]:
    """Parts of what was written, with the stream's name. `read` gives as many bytes as asked for, fewer at the end."""
    while True:
        head = read(8)
        if len(head) < 8:
            return
        left = int.from_bytes(head[4:], "big")
        while left:
            part = read(min(left, READ_BYTES))
            if not part:
                return
            left -= len(part)
            yield _STREAMS.get(head[0], "stdout"), part


def _exit_code(connection: Connection, exec_id: str) -> int:
    until = time.monotonic() + ENDS_WITHIN_S
    while True:
        found = inspect(connection, exec_id)
        code: Optional[int] = found.get("ExitCode")
        if not found.get("Running") and code is not None:
            return int(code)
        if time.monotonic() >= until:
            raise EngineUnavailable(
                "the engine ended the command's output, and does not say how the command itself ended"
            )
        time.sleep(LOOK_S)
