from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hullmark.engine import logstream
from hullmark.engine.protocol import LogLine

AT = "2026-01-02T03:04:05.000000006Z"


def frame(stream: int, payload: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(payload).to_bytes(4, "big") + payload


def cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def read(data: bytes, size: int = 1 << 20, *, tty: bool = False) -> list[LogLine]:
    return list(logstream.lines(cut(data, size), tty=tty))


TWO = frame(1, f"{AT} out\n".encode()) + frame(2, f"{AT} err\n".encode())


@pytest.mark.parametrize("size", range(1, len(TWO) + 1))
def test_frames_cut_anywhere(size: int) -> None:
    assert read(TWO, size) == [LogLine("stdout", AT, "out"), LogLine("stderr", AT, "err")]


def test_a_line_in_several_frames() -> None:
    data = frame(1, f"{AT} be".encode()) + frame(2, f"{AT} x\n".encode()) + frame(1, b"gun\nnext")
    assert [(line.stream, line.text) for line in read(data)] == [
        ("stderr", "x"),
        ("stdout", "begun"),
        ("stdout", ""),
    ]


def test_a_last_line_without_its_end_and_a_broken_frame() -> None:
    data = frame(1, f"{AT} last".encode()) + frame(1, b"never complete")[:-1]
    assert read(data) == [LogLine("stdout", AT, "last")]


def test_empty_lines_and_frames() -> None:
    data = frame(1, b"") + frame(1, f"{AT} \n".encode())
    assert read(data) == [LogLine("stdout", AT, "")]
    assert read(b"") == []


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_terminal(size: int) -> None:
    data = f"{AT} one\r\n{AT} two words\r\n".encode()
    assert [line.text for line in read(data, size, tty=True)] == ["one", "two words"]


def test_bytes_that_are_no_text() -> None:
    (line,) = read(frame(1, AT.encode() + b" \xff\xfe \xc3\xa9\n"))
    assert line.text == "\ufffd\ufffd \u00e9"


def test_a_character_cut_in_two() -> None:
    data = frame(1, f"{AT} \u00e9\n".encode())
    assert [read(data, size)[0].text for size in (1, 2, 9)] == ["\u00e9"] * 3


def test_long_lines_are_cut_and_nothing_is_lost() -> None:
    long = "x" * (3 * logstream.MAX_LINE_BYTES)
    for size in (1000, 1 << 20):
        lines = read(frame(1, f"{AT} {long}".encode()), size)
        assert all(len(f"{line.at} {line.text}") <= logstream.MAX_LINE_BYTES + 1 for line in lines)
        # The parts after the first have no time of their own: the word before a space, here all of it.
        assert "".join(line.text or line.at for line in lines) == long


@given(
    st.lists(st.tuples(st.sampled_from([1, 2]), st.text("ab \n", max_size=20))), st.integers(1, 40)
)
def test_the_cut_makes_no_difference(parts: list[tuple[int, str]], size: int) -> None:
    data = b"".join(frame(stream, text.encode()) for stream, text in parts)
    assert read(data, size) == read(data)


@pytest.mark.parametrize("size", range(1, 20))
def test_objects(size: int) -> None:
    data = b'{"a": 1}\n\nnot json\n[2]\n{"b": {"c": "\xc3\xa9"}}'
    assert list(logstream.objects(cut(data, size))) == [{"a": 1}, {"b": {"c": "\u00e9"}}]
