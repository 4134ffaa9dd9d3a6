"""Frames of a command's output, however they are cut, and the request that is sent."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st

from hullmark.engine.executing import READ_BYTES, body, frames
from hullmark.engine.protocol import Command

NUMBERS = {"stdout": 1, "stderr": 2}
PARTS = st.lists(st.tuples(st.sampled_from(sorted(NUMBERS)), st.binary(max_size=40)), max_size=8)


def framed(stream: str, data: bytes) -> bytes:
    return bytes([NUMBERS[stream], 0, 0, 0]) + len(data).to_bytes(4, "big") + data


@given(PARTS, st.integers(0, 400))
def test_what_came_whole_is_all_that_comes(parts: list[tuple[str, bytes]], cut: int) -> None:
    whole = b"".join(framed(*part) for part in parts)
    assert list(frames(io.BytesIO(whole).read)) == [part for part in parts if part[1]]
    found = list(frames(io.BytesIO(whole[:cut]).read))
    for stream in NUMBERS:
        text = b"".join(data for name, data in parts if name == stream)
        assert text.startswith(b"".join(data for name, data in found if name == stream))


def test_a_frame_that_says_it_is_huge_is_taken_in_parts() -> None:
    asked = []

    def read(most: int) -> bytes:
        asked.append(most)
        return b"\x01\0\0\0\xff\xff\xff\xff" if len(asked) == 1 else b"x" * 10 * (len(asked) < 4)

    assert list(frames(read)) == [("stdout", b"x" * 10)] * 2
    assert max(asked) == READ_BYTES


def test_a_command_gets_no_input_no_terminal_and_no_privileges() -> None:
    plain = {"AttachStdout": True, "AttachStderr": True, "Cmd": ["ls", "-l"]}
    assert body(Command(("ls", "-l"))) == plain
    assert body(Command(("ls", "-l"), "1000", "/srv")) == {
        **plain,
        "User": "1000",
        "WorkingDir": "/srv",
    }
