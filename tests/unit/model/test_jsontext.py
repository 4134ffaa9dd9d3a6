"""JSON text of others, however deep it goes."""

from __future__ import annotations

import json
from typing import Union

import pytest

from hullmark.model import jsontext


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "[" * 201 + "]" * 201])
def test_what_goes_too_deep_is_not_begun(text: str) -> None:
    with pytest.raises(json.JSONDecodeError, match="too deeply"):
        jsontext.loads(text)
    with pytest.raises(ValueError, match="too deeply"):
        jsontext.loads(text.encode())


def test_the_place_is_told() -> None:
    with pytest.raises(json.JSONDecodeError) as caught:
        jsontext.loads('{"a": [[[1]]]}', depth=3)
    assert caught.value.pos == 8


@pytest.mark.parametrize(
    "value",
    [
        [[]] * 1000,
        {str(number): {"a": [number]} for number in range(1000)},
        '"' + "[" * 1000,
        {"\\": "[" * 300, '"[{': "]" * 300},
        ["\\\\", "{" * 300, '\\"'],
    ],
)
def test_what_is_wide_or_a_text_is_not_deep(value: object) -> None:
    assert jsontext.loads(json.dumps(value)) == value


def test_depth_counts_what_is_open() -> None:
    assert jsontext.loads("[" * 200 + "]" * 200)
    assert jsontext.loads('{"a": [[1], [2]]}', depth=3) == {"a": [[1], [2]]}


def test_hooks_are_handed_on() -> None:
    assert jsontext.loads("[1]", parse_int=lambda digits: f"n{digits}") == ["n1"]


@pytest.mark.parametrize("text", [b"", "[", "[" * 100 + "x", '"' + "\\" * 999])
def test_what_is_no_json(text: Union[str, bytes]) -> None:
    with pytest.raises(json.JSONDecodeError):
        jsontext.loads(text)


def test_what_is_no_text() -> None:
    with pytest.raises(UnicodeDecodeError):
        jsontext.loads(b"\xff[]")
