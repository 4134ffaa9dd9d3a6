"""Positions, scalars, limits; and that no bytes whatever do harm."""

from __future__ import annotations

import io
import math
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hullmark.document import (
    ListValue,
    MapValue,
    Tagged,
    line_of,
    parse,
    problem_at,
    read,
    read_mapping,
)
from hullmark.document.files import MAX_BYTES
from hullmark.document.reader import MAX_DEPTH, MAX_VALUES, plain_scalar
from hullmark.errors import InvalidInput
from tests.effort import at_most


def value(text: str, **how: Any) -> Any:
    return parse(text.encode(), "f.yaml", **how)


def problem(content: bytes, **how: Any) -> str:
    with pytest.raises(InvalidInput) as caught:
        parse(content, "f.yaml", **how)
    assert len(caught.value.problems) == 1
    return str(caught.value.problems[0])


# positions


def test_every_key_and_item_knows_its_line() -> None:
    document = value(
        "# one\na: 1\nb:\n  - x\n  -\n    c: |\n      long\n      text\n    d: 2\n'e':\n  {f: 1,\n   g: 2}\n"
    )
    assert document == {"a": 1, "b": ["x", {"c": "long\ntext\n", "d": 2}], "e": {"f": 1, "g": 2}}
    assert document.lines == {"a": 2, "b": 3, "e": 10}
    assert document["b"].lines == [4, 6]
    assert document["b"][1].lines == {"c": 6, "d": 9}
    assert document["e"].lines == {"f": 11, "g": 12}
    assert (document.line, document["b"].line, document["e"].line) == (2, 4, 11)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_are_counted_with_every_line_end(end: str) -> None:
    document = value(end.join(("a: 1", "", "b:", "  c: 2")))
    assert document.lines == {"a": 1, "b": 3}
    assert document["b"].lines == {"c": 4}


@pytest.mark.parametrize("text", ["a:\n\tb: 1\n", "a:\n  b: 1\n\tc: 2\n", "a:\n  b: 1\n  \tc: 2\n"])
def test_a_tab_is_called_one(text: str) -> None:
    line = text.count("\n", 0, text.index("\t")) + 1
    assert problem(text.encode()) == f"f.yaml:{line}: not YAML: a tab; YAML is indented by spaces"


def test_a_tab_that_may_stand_is_not_blamed() -> None:
    assert value('{\n\t"a": 1\n}') == {"a": 1}
    assert "tab" not in problem(b'{\n\t"a": 1\n\t"b": 2\n}')


def test_where_things_stand() -> None:
    document = value("a:\n  - 1\n  - 2\n")
    assert line_of(document, "a") == ("f.yaml", 1)
    assert line_of(document, "none") == ("f.yaml", 1)
    assert line_of(document["a"], 1) == ("f.yaml", 3)
    assert line_of(document["a"], 9) == ("f.yaml", 2)
    assert line_of(document["a"]) == ("f.yaml", 2)
    assert line_of({"plain": 1}, "plain") == ("", None)
    found = problem_at(document["a"], 1, "a[1]", "too large", "1")
    assert str(found) == "f.yaml:3: a[1]: too large (allowed: 1)"


def test_a_value_from_another_file_keeps_its_place() -> None:
    mapping = MapValue("f.yaml", 1)
    mapping.put("a", 1, 5, "g.yaml")
    items = ListValue("f.yaml", 1)
    items.put("x", 7, "g.yaml")
    assert line_of(mapping, "a") == ("g.yaml", 5)
    assert line_of(items, 0) == ("g.yaml", 7)


# scalars

SCALARS: list[tuple[str, Any]] = [
    ("on", "on"),
    ("off", "off"),
    ("yes", "yes"),
    ("No", "No"),
    ("y", "y"),
    ("22:22", "22:22"),
    ("1:30:00", "1:30:00"),
    ("true", True),
    ("True", True),
    ("TRUE", True),
    ("tRUE", "tRUE"),
    ("false", False),
    ("null", None),
    ("Null", None),
    ("~", None),
    ("", None),
    ("0", 0),
    ("-0", 0),
    ("+12", 12),
    ("-5", -5),
    ("0o17", 15),
    ("0440", 288),
    ("0o8", "0o8"),
    ("08", 8),
    ("0x1F", 31),
    ("0X1F", "0X1F"),
    ("0b1", "0b1"),
    ("1_000", "1_000"),
    ("9223372036854775808", 1 << 63),
    ("12345678901234567890123", 12345678901234567890123),
    ("1e3", 1000.0),
    ("1.5", 1.5),
    (".5", 0.5),
    ("1.", 1.0),
    ("-1.5E-2", -0.015),
    ("1e999", "1e999"),
    (".inf", ".inf"),
    ("-.Inf", "-.Inf"),
    (".nan", ".nan"),
    ("1.2.3", "1.2.3"),
    ("2001-12-14", "2001-12-14"),
    ("2001-12-14t21:59:43.10-05:00", "2001-12-14t21:59:43.10-05:00"),
    ("=", "="),
    ("0.0.0.0", "0.0.0.0"),
    ("12e03", 12000.0),
    ("\u0661", "\u0661"),
]


@pytest.mark.parametrize(("text", "expected"), SCALARS)
def test_plain_scalars_are_those_of_yaml_1_2(text: str, expected: Any) -> None:
    for found in (plain_scalar(text), value(f"a: {text}")["a"]):
        assert found == expected
        assert type(found) is type(expected)
    assert value(f"a: '{text}'")["a"] == text
    assert value(f'a: "{text}"')["a"] == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: !!str 5", "5"),
        ("a: !!str", ""),
        ("a: !!int '5'", 5),
        ("a: !!float 1", 1),
        ("a: !!bool 'true'", True),
        ("a: !!null ''", None),
        ("a: ! 5", 5),
        ("a: |\n  on\n", "on\n"),
        ("a: >-\n  x\n  y\n", "x y"),
        ("a: !!map {}", {}),
        ("a: !!seq []", []),
    ],
)
def test_tags_of_the_core_schema(text: str, expected: Any) -> None:
    assert value(text)["a"] == expected


def test_local_tags_are_known_only_where_asked_for() -> None:
    found = value("a: !reset null\nb: !override\n  - 1\nc: !reset {}", tags=("!reset", "!override"))
    assert found["a"] == Tagged("!reset", "null")
    assert found["b"] == Tagged("!override", [1])
    assert found["c"] == Tagged("!reset", {})
    assert found["b"].value.lines == [3]
    for tag in ("!env", "!!python/object/apply:os.system", "!!binary", "!!set", "!!timestamp"):
        assert "is not known here" in problem(f"a:\n  b: {tag} x".encode(), tags=("!reset",))
    assert problem(b"a: 1\nb: !env x", tags=("!reset",)) == (
        "f.yaml:2: tag '!env' is not known here (allowed: !reset)"
    )


@pytest.mark.parametrize(
    "text", ["", "\n\n", "# only\n", "---\n", "---\n...\n", "%YAML 1.1\n---\n"]
)
def test_an_empty_document_is_nothing(text: str) -> None:
    assert value(text) is None


def test_keys_are_text_as_written() -> None:
    found = value("1: a\n0440: b\ntrue: c\n1.10: d\n'': e\n? f\n: g\n")
    assert found == {"1": "a", "0440": "b", "true": "c", "1.10": "d", "": "e", "f": "g"}


def test_a_byte_order_mark_is_no_part_of_the_first_key() -> None:
    assert parse(b"\xef\xbb\xbfa: 1", "f") == {"a": 1}


# aliases and merges


def test_aliases_and_merges() -> None:
    found = value(
        "base: &base\n  image: x\n  user: u\n"
        "more: &more\n  image: y\n  init: true\n"
        "web:\n  image: z\n  <<: [*base, *more]\n"
        "db:\n  <<: *base\n  <<: *more\n  user: mine\n"
        "list: [*base, *base]\n"
    )
    assert found["web"] == {"image": "z", "user": "u", "init": True}
    assert found["db"] == {"image": "x", "user": "mine", "init": True}
    assert found["list"] == [found["base"], found["base"]]
    assert line_of(found["web"], "user") == ("f.yaml", 3)
    assert line_of(found["db"], "init") == ("f.yaml", 6)
    assert line_of(found["db"], "user") == ("f.yaml", 13)


def test_a_merge_of_a_merge() -> None:
    found = value("a: &a {x: 1}\nb: &b {<<: *a, y: 2}\nc: {<<: *b, z: 3}")
    assert found["c"] == {"x": 1, "y": 2, "z": 3}


def test_an_alias_is_a_key_where_it_is_text() -> None:
    assert value("a: &a name\n*a : 1") == {"a": "name", "name": 1}


def test_the_latest_anchor_counts() -> None:
    assert value("[&a 1, *a, &a 2, *a]") == [1, 1, 2, 2]


# what is refused


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3", "f.yaml:3: key 'a' stands here and in line 1"),
        ("1: x\n'1': y", "f.yaml:2: key '1' stands here and in line 1"),
        ("a: {b: 1, b: 2}", "f.yaml:1: key 'b' stands here and in line 1"),
        ("a: 1\n---\nb: 2", "f.yaml:2: a second document (allowed: one document a file)"),
        ("a: 1\n...\n---\n", "f.yaml:3: a second document (allowed: one document a file)"),
        (
            "a:\n  ? [x]\n  : 1",
            "f.yaml:2: a key that is a mapping or a list (allowed: text as a key)",
        ),
        ("? {x: 1}\n: 1", "f.yaml:1: a key that is a mapping or a list (allowed: text as a key)"),
        ("a: &a {}\n*a : 1", "f.yaml:2: a key that is not text (allowed: text as a key)"),
        ("a: 1\n~: 1", "f.yaml:2: an empty key (allowed: text as a key)"),
        ("a: 1\n: 1", "f.yaml:2: not YAML: did not find expected key"),
        ("a: *b", "f.yaml:1: alias *b of an anchor that is not complete here"),
        ("a: &a\n  b: *a", "f.yaml:2: alias *a of an anchor that is not complete here"),
        ("&a [*a]", "f.yaml:1: alias *a of an anchor that is not complete here"),
        ("a:\n  <<: 5", "f.yaml:2: `<<` of something else (allowed: a mapping or a list of them)"),
        (
            "a:\n  <<: [{}, x]",
            "f.yaml:2: `<<` of something else (allowed: a mapping or a list of them)",
        ),
        ("a:\n\tb: 1", "f.yaml:2: not YAML: a tab; YAML is indented by spaces"),
        ("a: [1,\nb: 2", "f.yaml:2: not YAML: "),
        ("a: 'x\n", "f.yaml:1: not YAML: found unexpected end of stream"),
        ("a: b: c", "f.yaml:1: not YAML: mapping values are not allowed in this context"),
        ('a: "\\ud800"', "f.yaml:1: not YAML: "),
        ("a: 1\nb: \x07", "f.yaml:2: not YAML: the character U+0007 may not stand in it"),
        ("%YAML 3.0\n---\na: 1", "f.yaml:1: not YAML: "),
    ],
)
def test_mistakes(text: str, expected: str) -> None:
    assert problem(text.encode()).startswith(expected)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a: \0", "f.yaml: not a text file: it holds NUL bytes (allowed: text in UTF-8)"),
        (
            "a: 1".encode("utf-16"),
            "f.yaml: not a text file: it holds NUL bytes (allowed: text in UTF-8)",
        ),
        (b"\x7fELF\x02\x01\0\0", "f.yaml: not a text file"),
        (b"a: 1\nb: \xff\xfe", "f.yaml:2: not UTF-8 text (allowed: text in UTF-8)"),
        (b"a: 1\n\nb: \xed\xa0\x80", "f.yaml:3: not UTF-8 text"),
        (b"#" * (MAX_BYTES + 1), "f.yaml: larger than 1024 KiB"),
    ],
)
def test_what_is_no_text(content: bytes, expected: str) -> None:
    assert problem(content).startswith(expected)


def test_the_largest_file() -> None:
    assert parse(b"a: 1\n#".ljust(MAX_BYTES, b"x"), "f") == {"a": 1}


def test_the_deepest_nesting() -> None:
    assert value("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    text = "[\n" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1)
    assert (
        problem(text.encode()) == f"f.yaml:{MAX_DEPTH + 1}: nested deeper than {MAX_DEPTH} levels"
    )


def test_depth_behind_aliases_counts() -> None:
    """Whoever goes over a value by recursion must not run out of stack."""
    lines = ["x0: &x0 [1]", *(f"x{n}: &x{n} [[*x{n - 1}]]" for n in range(1, 40))]
    assert "nested deeper" in problem("\n".join(lines).encode())
    assert value("\n".join(lines[:31]))
    chain = ["x0: &x0 {k: 1}", *(f"x{n}: &x{n} {{k: *x{n - 1}}}" for n in range(1, 99))]
    assert problem("\n".join(chain).encode()).startswith("f.yaml:64: nested deeper")


def test_values_behind_aliases_count() -> None:
    laughs = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    laughs += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    assert problem("\n".join(laughs).encode()).endswith("values, aliases counted in full")
    merges = ["a0: &a0 {k: 1}"]
    merges += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 9)]
    assert problem("\n".join(merges).encode()).endswith("values, aliases counted in full")


def test_long_text_behind_aliases_counts() -> None:
    """It would be small here, and gigabytes once it is written out."""
    text = f"a: &a {'x' * 100_000}\nb: [{', '.join(['*a'] * 500)}]"
    assert problem(text.encode()).endswith("values, aliases counted in full")
    keys = f"a: &a\n  ? {'x' * 100_000}\n  : 1\nb: [{', '.join(['*a'] * 500)}]"
    assert problem(keys.encode()).endswith("values, aliases counted in full")
    assert value(f"a: {'x' * 1_000_000}")


def test_the_number_of_values_is_limited() -> None:
    assert len(value("[" + "1," * (MAX_VALUES - 1) + "]")) == MAX_VALUES - 1
    assert "more than 100000 values" in problem(b"[" + b"1," * MAX_VALUES + b"]")


HOSTILE = {
    "brackets": b"[" * MAX_BYTES,
    "braces": b"{" * MAX_BYTES,
    "dashes": b"- " * (MAX_BYTES // 2),
    "questions": b"? " * (MAX_BYTES // 2),
    "anchors": b"&a " * (MAX_BYTES // 3),
    "tags": b"!a " * (MAX_BYTES // 3),
    "aliases": b"[" + b"*a," * (MAX_BYTES // 4),
    "colons": b"a: " * (MAX_BYTES // 3),
    "flow of keys": b"{" + b"a: {b: 1}, " * (MAX_BYTES // 12),
    "one long key": b"a" * (MAX_BYTES - 2) + b": 1"[:2],
    "quotes": b'"' * MAX_BYTES,
    "open quote": b'"' + b"\\" * (MAX_BYTES - 2),
    "pipes": b"a: |\n" + b" \n" * (MAX_BYTES // 2 - 9),
    "directives": b"%YAML 1.1\n" * (MAX_BYTES // 10),
    "comments": b"#\n" * (MAX_BYTES // 2),
    "lines": b"\n" * MAX_BYTES,
    "list": b"- a\n" * (MAX_BYTES // 4),
    "keys": b"".join(b"k%06d: \n" % n for n in range(MAX_BYTES // 10)),
    "commas": b"[" + b"," * (MAX_BYTES - 1),
    "merges": b"a: &a {k: 1}\nb: {" + b"<<: *a, " * (MAX_BYTES // 8 - 9) + b"}",
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_files_are_judged_in_a_second(name: str) -> None:
    assert len(HOSTILE[name]) <= MAX_BYTES
    message = ""
    with at_most(1.0):
        try:
            parse(HOSTILE[name], name)
        except InvalidInput as error:
            message = error.message
    assert len(message) < 300


SNIPPETS = st.lists(
    st.sampled_from(
        [
            *(
                "a",
                "b:",
                " ",
                "\n",
                "  ",
                "- ",
                "[",
                "]",
                "{",
                "}",
                ",",
                "? ",
                ": ",
                "&x ",
                "*x",
                "<<: ",
            ),
            *(
                "!t ",
                "!!int ",
                "'",
                '"',
                "|\n",
                ">-\n",
                "#",
                "---\n",
                "...\n",
                "%YAML 1.2\n",
                "\t",
                "~",
            ),
            *("0o7", "1e9", "\\u0041", "é", "\u2028", "\r\n", "null"),
        ]
    ),
    max_size=24,
).map("".join)


def assert_a_value(found: Any, depth: int = 0) -> None:
    assert depth <= MAX_DEPTH
    if isinstance(found, MapValue):
        assert set(found.lines) == set(found.files) == set(found)
        for key, inner in found.items():
            assert type(key) is str
            assert found.lines[key] >= 1
            assert_a_value(inner, depth + 1)
    elif isinstance(found, ListValue):
        assert len(found.lines) == len(found.files) == len(found)
        for inner in found:
            assert_a_value(inner, depth + 1)
    else:
        assert found is None or type(found) in (str, int, float, bool)
        assert not isinstance(found, float) or math.isfinite(found)


@given(st.one_of(SNIPPETS, st.text(max_size=30)))
@settings(max_examples=150)
def test_any_text_is_a_value_or_invalid(text: str) -> None:
    try:
        found = parse(text.encode("utf-8", "surrogatepass"), "f.yaml")
    except InvalidInput as error:
        one = error.problems[0]
    else:
        assert_a_value(found)
        return
    assert one.file == "f.yaml"
    assert one.line is None or 1 <= one.line <= max(1, len(text.splitlines()))


@given(st.binary(max_size=40))
def test_any_bytes_are_a_value_or_invalid(content: bytes) -> None:
    try:
        found = parse(content, "f.yaml")
    except InvalidInput:
        return
    assert_a_value(found)


# files


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: 1\nb: [")
    with pytest.raises(InvalidInput, match=rf"^{path}:2: not YAML"):
        read(path)
    path.write_text("a: 1")
    assert read(path) == read(str(path)) == {"a": 1}


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a: 1")))
    assert read("-") == {"a": 1}
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a: [")))
    with pytest.raises(InvalidInput, match=r"^standard input:1: not YAML"):
        read("-")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"#" * (MAX_BYTES + 2))))
    with pytest.raises(InvalidInput, match=r"^standard input: larger than"):
        read("-")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path, message in (
        (tmp_path / "none", "does not exist"),
        (tmp_path, "is a folder"),
        (tmp_path / "a\0b", "is no path"),
        (tmp_path / ("x" * 300), "file name too long"),
    ):
        with pytest.raises(InvalidInput) as caught:
            read(path)
        assert message in str(caught.value.problems[0])


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in ("/dev/zero", tmp_path / "fifo"):
        with pytest.raises(InvalidInput, match="is not a regular file"):
            read(path)


@pytest.mark.parametrize("content", ["- a", "a", "5", ""])
def test_what_has_to_be_a_mapping(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("a: [1]")
    assert read_mapping(file) == {"a": [1]}
    file.write_text(content)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
    for path, name in ((file, str(file)), ("-", "standard input")):
        with pytest.raises(InvalidInput) as caught:
            read_mapping(path)
        (problem,) = caught.value.problems
        assert (problem.file, problem.line, problem.message) == (name, 1, "not a mapping")
