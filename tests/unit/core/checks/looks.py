"""What checks' tests put together: readings as probes give them, and what no judge may make of nonsense."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from hypothesis import strategies as st

from hullmark.core.checks import JUDGES, Seen
from hullmark.model.checkkinds import KINDS
from hullmark.model.control import Finding, Reading, Trouble

NOW = 1_795_955_934.0  # 29 November 2026, 12:38:54 UTC
HOUR, DAY = 3600.0, 86400.0


def reading(
    name: str,
    text: str = "",
    *,
    code: Optional[int] = None,
    trouble: Trouble = Trouble.NONE,
    errors: str = "",
    source: str = "",
    at: float = NOW,
    **facts: object,
) -> Reading:
    return Reading(
        name,
        source or name,
        text=text,
        errors=errors,
        code=code,
        trouble=trouble,
        facts={key: str(value) for key, value in facts.items()},
        at=at,
    )


def program(path: str = "/usr/sbin/tool") -> Reading:
    return reading("program", path, source=path)


def process(state: str = "S", name: str = "tool", number: int = 812) -> str:
    return f"{number}\t{state}\t0\t/usr/sbin/{name}\t/usr/sbin/{name} -x"


def missing(name: str) -> Reading:
    return reading(name, trouble=Trouble.MISSING)


def given(kind: str, **changed: Any) -> Mapping[str, Any]:
    """What a controls file gives where it says nothing but this."""
    defaults = {name: one.default for name, one in KINDS[kind].parameters.items()}
    return {**defaults, **changed}


def judged(
    kind: str, *readings: Reading, before: tuple[Reading, ...] = (), **changed: Any
) -> Finding:
    level = KINDS[kind].level
    return JUDGES[kind](Seen(readings, given(kind, **changed), NOW, level, before))


nonsense = st.builds(
    reading,
    st.just(""),
    st.one_of(st.text(max_size=300), st.text("0123456789,.-+^*:=/\t\n' abc", max_size=300)),
    code=st.one_of(st.none(), st.sampled_from([0, 1, 2, 255, -9])),
    trouble=st.sampled_from(Trouble),
    errors=st.text(max_size=40),
    at=st.floats(NOW - 30 * DAY, NOW),
    mtime=st.one_of(st.text(max_size=12), st.just("nan"), st.integers(0, 1 << 33)),
    size=st.one_of(st.text(max_size=8), st.integers(0, 99)),
    mode=st.one_of(st.text(max_size=5), st.just("0640")),
)


def looks_of(names: tuple[str, ...]) -> st.SearchStrategy[tuple[Reading, ...]]:
    """Looks in which each of these is nonsense, or wasn't got to."""
    each = [
        st.one_of(st.none(), nonsense.map(lambda one, name=name: named(one, name)))  # type: ignore[misc]
        for name in names
    ]
    return st.tuples(*each).map(lambda found: tuple(one for one in found if one is not None))


def named(one: Reading, name: str) -> Reading:
    return Reading(
        name, name, one.text, one.errors, one.code, one.trouble, one.facts, one.cut, one.at
    )
