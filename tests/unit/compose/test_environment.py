"""Environment files: what a line means, and which line is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hullmark.compose.environment import MAX_VALUE, read_env_file
from hullmark.errors import InvalidInput


def read(folder: Path, content: str, *, raw: bool = False, **variables: str) -> dict[str, str]:
    file = folder / "vars.env"
    file.write_bytes(content.encode())
    return read_env_file(file, variables, raw=raw)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=value", "value"),
        ("  A = value  ", "value"),
        ("export A=value", "value"),
        ("A: value", "value"),
        ("A=", ""),
        ("A=two words", "two words"),
        ("A=a=b", "a=b"),
        ("A=value # comment", "value"),
        ("A=value#none", "value#none"),
        ("A=#none", "#none"),
        ("A= # comment", ""),
        ("A='$B ${C' # comment", "$B ${C"),
        ("A='it\\'s \\n'", "it's \\n"),
        ('A="$B"', "b"),
        ('A="a\\tb\\nc\\\\ \\"q\\" \\$B # x"', 'a\tb\nc\\ "q" $B # x'),
        ('A="over\nlines"', "over\nlines"),
        ("A='over\nlines'", "over\nlines"),
        ('A=""', ""),
        ("A=$B-${B}-${NO:-d}", "b-b-d"),
        ("A=\\$B $$B", "$B $B"),
        ("A=value\r", "value"),
        ("A=1\nA=2", "2"),
    ],
)
def test_lines(tmp_path: Path, line: str, value: str) -> None:
    assert read(tmp_path, f"# first\n\n{line}\nLAST=1", B="b") == {"A": value, "LAST": "1"}


def test_earlier_lines_are_known_and_the_environment_goes_first(tmp_path: Path) -> None:
    assert read(tmp_path, "A=1\nB=$A\nC=$D\nD=4", A="0") == {"A": "1", "B": "0", "C": "", "D": "4"}
    assert read(tmp_path, "A=1\nB=$A") == {"A": "1", "B": "1"}


def test_a_name_alone_takes_what_is_known(tmp_path: Path) -> None:
    assert read(tmp_path, "A\nB # comment\nC=3", A="known") == {"A": "known", "C": "3"}


def test_raw(tmp_path: Path) -> None:
    content = 'A="q" # $B \nB=\'x\n# comment\n\nC\nD\nE= spaced \n'
    assert read(tmp_path, content, raw=True, C="c") == {
        "A": '"q" # $B ',
        "B": "'x",
        "C": "c",
        "E": " spaced ",
    }


def test_unset_variables_are_warnings(tmp_path: Path) -> None:
    file = tmp_path / "vars.env"
    file.write_text("A=1\n\nB=$NONE$A\n")
    warnings: list[str] = []
    assert read_env_file(file, {}, warnings=warnings) == {"A": "1", "B": "1"}
    assert warnings == [f"{file}:3: variable NONE is not set: left empty"]


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        ("A=1\n=2", 2, "no variable name"),
        ("A=1\n1A=2", 2, "no variable name"),
        ("A=1\nA B=2", 2, "a name that goes on without `=`"),
        ("\n\nA='open\nB=2", 3, "a quote that is not closed"),
        ('A="a"b', 1, "text behind the closing quote"),
        ('A="1\n2"\nB=$', 3, "`$` begins no variable"),
        ("A=${B:?must be}", 1, "variable B is not set: must be"),
        ("A=" + "x" * (MAX_VALUE + 1), 1, "the value of A is too long"),
    ],
)
def test_wrong_lines(tmp_path: Path, content: str, line: int, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(tmp_path, content)
    problem = caught.value.problems[0]
    assert (problem.file, problem.line) == (str(tmp_path / "vars.env"), line)
    assert problem.message == message


def test_every_wrong_line_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(tmp_path, "=1\nA=1\n=2\nB=$\n")
    assert [problem.line for problem in caught.value.problems] == [1, 3, 4]


def test_values_are_not_in_messages(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(tmp_path, "PASSWORD=hunter2$\nSECRET='hunter2\nX=hunter2")
    assert "hunter2" not in str(caught.value)


def test_a_file_that_grows(tmp_path: Path) -> None:
    lines = ["A0=" + "x" * 1000] + [f"A{n}=$A{n - 1}$A{n - 1}" for n in range(1, 60)]
    with pytest.raises(InvalidInput) as caught:
        read(tmp_path, "\n".join(lines))
    assert caught.value.problems[0].message == "the value of A8 is too long"


@pytest.mark.parametrize("name", ["folder", "fifo", "device"])
def test_what_is_no_file(tmp_path: Path, name: str) -> None:
    path = {"folder": tmp_path, "fifo": tmp_path / "fifo", "device": Path("/dev/zero")}[name]
    if name == "fifo":
        os.mkfifo(path)
    with pytest.raises(InvalidInput, match=r"is a folder|is not a regular file"):
        read_env_file(path, {})


def test_what_is_no_text(tmp_path: Path) -> None:
    file = tmp_path / "vars.env"
    for content in (b"A=\xff\n", b"A=\0\n", b"A=1\n" * (1 << 19)):
        file.write_bytes(content)
        with pytest.raises(InvalidInput):
            read_env_file(file, {})


def test_a_missing_file_is_for_the_caller(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_env_file(tmp_path / "none", {})
