"""Variables in text: every form, what is wrong with the others, and what a hostile text costs."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hullmark.compose.interpolation import MAX_NESTING, Filler, Malformed, TooLong

VARIABLES = {"SET": "value", "EMPTY": "", "_x1": "odd", "DOLLAR": "a$SET"}


def fill(text: str) -> str:
    return Filler(VARIABLES.get).fill(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain {text} }", "plain {text} }"),
        ("$SET ${SET}$_x1", "value valueodd"),
        ("$$SET $$$SET $${SET}", "$SET $value ${SET}"),
        ("$SET.txt ${SET}s", "value.txt values"),
        ("${DOLLAR}", "a$SET"),  # a value is not filled in again
        ("${SET:-d} ${EMPTY:-d} ${NONE:-d}", "value d d"),
        ("${SET-d} ${EMPTY-d} ${NONE-d}", "value  d"),
        ("${SET:+r} ${EMPTY:+r} ${NONE:+r}", "r  "),
        ("${SET+r} ${EMPTY+r} ${NONE+r}", "r r "),
        ("${SET:?m} ${SET?m} ${EMPTY?m}", "value value "),
        ("${NONE:-} ${NONE-}", " "),
        ("${NONE:-${EMPTY:-$SET}}", "value"),
        ("${NONE:-a${SET}b$SET}c", "avaluebvaluec"),
        ("${NONE:-$$5}", "$5"),
        ('${NONE:-{"a": {"b": 1}}}', '{"a": {"b": 1}}'),
        ("${NONE:-a:b-c?d+e}", "a:b-c?d+e"),
        ("${SET:+--flag=${SET}}", "--flag=value"),
        ("${NONE:-two words\nand lines}", "two words\nand lines"),
    ],
)
def test_forms(text: str, expected: str) -> None:
    assert fill(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("$", "`$` begins no variable"),
        ("costs $5", "`$` begins no variable"),
        ("^(a|b)($|/)", "`$` begins no variable"),
        ("${", "`${` is followed by no variable name"),
        ("${}", "`${` is followed by no variable name"),
        ("${1A}", "`${` is followed by no variable name"),
        ("${A", "`${A` has no `}`"),
        ("${A:-b", "`${` without its `}`"),
        ("${A:-{b}", "`${` without its `}`"),
        ("${A/b/c}", "`${A` is followed by '/'"),
        ("${A:b}", "`${A` is followed by ':'"),
        ("${A b}", "`${A` is followed by ' '"),
        ("${A:-$}", "`$` begins no variable"),
        ("${SET:-${}}", "`${` is followed by no variable name"),  # also where it isn't needed
    ],
)
def test_what_is_malformed(text: str, message: str) -> None:
    with pytest.raises(Malformed) as caught:
        fill(text)
    assert caught.value.message == message
    assert "$$ for a dollar sign" in caught.value.allowed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${NONE:?}", "variable NONE is not set"),
        ("${NONE?set it to $SET}", "variable NONE is not set: set it to value"),
        ("${EMPTY:?say which}", "variable EMPTY is empty: say which"),
        ("${NONE:-${EMPTY:?inside}}", "variable EMPTY is empty: inside"),
    ],
)
def test_what_is_required(text: str, message: str) -> None:
    with pytest.raises(Malformed) as caught:
        fill(text)
    assert caught.value.message == message


def test_unset_variables_are_named_when_they_are_needed() -> None:
    filler = Filler(VARIABLES.get)
    assert filler.fill("$ONE ${TWO} ${SET:-$THREE} ${FOUR:-$FIVE}") == "  value "
    assert filler.unset == ["ONE", "TWO", "FIVE"]
    assert filler.fill("no variable") == "no variable"
    assert filler.unset == []


def test_nesting_has_an_end() -> None:
    def nested(depth: int) -> str:
        return "${A:-" * depth + "x" + "}" * depth

    assert fill(nested(MAX_NESTING)) == "x"
    with pytest.raises(Malformed, match="deeper"):
        fill(nested(MAX_NESTING + 1))
    with pytest.raises(Malformed, match="deeper"):
        fill(nested(100_000))


def test_text_has_an_end() -> None:
    filler = Filler({"A": "x" * 1000}.get, most=10_000)
    assert len(filler.fill("$A" * 5)) == 5000
    with pytest.raises(TooLong):
        filler.fill("$A" * 100_000)


@given(st.text(alphabet="${}:-+?AB _$"))
def test_any_text_is_filled_or_refused(text: str) -> None:
    with suppress(Malformed):
        filled = fill(text)
        assert filled == text or "$" in text


@given(st.text())
def test_doubled_dollars_give_the_text_back(text: str) -> None:
    assert fill(text.replace("$", "$$")) == text
