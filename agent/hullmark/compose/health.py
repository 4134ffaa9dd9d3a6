"""Health checks."""

from __future__ import annotations

from typing import Any, Optional

from hullmark.compose import forms, values
from hullmark.compose.findings import Node
from hullmark.compose.judging import judge
from hullmark.document import ListValue
from hullmark.model.app import Healthcheck

TEST = "text for the image's shell, or a list that begins with CMD or CMD-SHELL, or [NONE]"


def read_healthcheck(node: Optional[Node]) -> Optional[Healthcheck]:
    if node is None or not judge(node, "services.*.healthcheck"):
        return None
    nothing: tuple[str, ...] = ()
    test = node.field_of("test", _test, nothing)
    if node.field_of("disable", values.boolean, False) or test == ("NONE",):
        return Healthcheck(disabled=True)
    default = Healthcheck()
    return Healthcheck(
        test,
        node.field_of("interval", values.duration(forms.CHECK_DURATION), default.interval_s),
        node.field_of("timeout", values.duration(forms.CHECK_DURATION), default.timeout_s),
        node.field_of("retries", values.whole(forms.RETRIES), default.retries),
        node.field_of("start_period", values.duration(forms.DURATION), default.start_period_s),
    )


def _test(value: Any) -> tuple[str, ...]:
    if isinstance(value, str) and value.strip():
        return ("CMD-SHELL", values.scalar(value))
    words = tuple(map(values.scalar, value)) if isinstance(value, ListValue) else ()
    if words == ("NONE",) or test_fits(words):
        return words
    raise ValueError(TEST)


def test_fits(words: tuple[str, ...]) -> bool:
    """Whether this is a check that an engine runs."""
    return len(words) > 1 and words[0] in ("CMD", "CMD-SHELL")
