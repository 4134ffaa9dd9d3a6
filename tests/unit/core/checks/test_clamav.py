"""What clamd answers, well and not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hullmark.core.checks import JUDGES, Seen
from hullmark.model.checkkinds import KINDS
from hullmark.model.control import Finding, Reading, Status, Trouble
from tests.unit.core.checks.looks import (
    DAY,
    NOW,
    judged,
    looks_of,
    missing,
    process,
    program,
    reading,
)
from tests.unit.core.checks.looks import given as given_to

CONFIG = reading("config", "LocalSocket /run/clamav/clamd.ctl\n", source="/etc/clamav/clamd.conf")
YOUNG = "ClamAV 1.4.3/27100/Fri Nov 27 12:47:59 2026"
FOUND = "stream: Eicar-Test-Signature.UNOFFICIAL FOUND"
BOTH = ["clamav.signatures", "clamav.eicar"]


def version(text: str = YOUNG, **more: object) -> Reading:
    return reading("version", text, source="clamd: VERSION", **more)  # type: ignore[arg-type]


def signatures(text: str, **changed: Any) -> Finding:
    return judged("clamav.signatures", program(), CONFIG, version(text), **changed)


def eicar(text: str, at: float = NOW, trouble: Trouble = Trouble.NONE) -> Finding:
    answer = reading("eicar", text, at=at, trouble=trouble, source="clamd: INSTREAM")
    return judged("clamav.eicar", program(), CONFIG, version(), answer)


def test_young_signatures() -> None:
    found = signatures(YOUNG)
    assert (found.status, found.level) == (Status.PASS, 2)
    assert found.reason == "signatures 27100 of Fri Nov 27 12:47:59 2026"
    assert signatures("ClamAV 0.103.10/26988/Sat Nov 28 08:26:41 2026\n").status is Status.PASS


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("ClamAV 1.4.3", "clamd has no daily signatures loaded"),
        (
            YOUNG.replace("Nov 27", "Nov  7"),
            "the newest signature, 27100, is 22 d old, more than 3 d",
        ),
    ],
)
def test_old_signatures(text, reason) -> None:
    found = signatures(text)
    assert (found.status, found.reason.replace("72 h", "3 d")) == (Status.FAIL, reason)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "PONG",
        "UNKNOWN COMMAND",
        YOUNG.replace("Nov", "Vendemiaire"),
        YOUNG.replace("27 12", "31 12"),
        YOUNG.replace("2026", "2031"),
        YOUNG + "/extra",
        "ClamAV 1.4.3/27100/",
    ],
)
def test_versions_that_nobody_knows(text) -> None:
    assert signatures(text).status is Status.ERROR


def test_a_date_in_another_zone() -> None:
    """clamd's own zone may be ahead of ours."""
    assert signatures(YOUNG.replace("Fri Nov 27 12", "Mon Nov 30 01")).status is Status.PASS


def test_the_test_file_is_found() -> None:
    found = eicar(FOUND)
    assert (found.status, found.level) == (Status.PASS, 3)
    assert found.reason == "found Eicar-Test-Signature.UNOFFICIAL"


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (eicar("stream: OK"), Status.FAIL),
        (eicar("", trouble=Trouble.TIMED_OUT), Status.FAIL),
        (eicar(FOUND, at=NOW - 2 * DAY), Status.FAIL),
        (eicar("INSTREAM size limit exceeded. ERROR"), Status.ERROR),
        (eicar("UNKNOWN COMMAND"), Status.ERROR),
        (eicar("stream: FOUND"), Status.ERROR),
        (eicar(""), Status.ERROR),
        (eicar(FOUND, at=NOW + DAY), Status.ERROR),
    ],
)
def test_the_test_file_is_not_found(found, status) -> None:
    assert found.status is status


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize(
    ("trouble", "errors", "status"),
    [
        (Trouble.TIMED_OUT, "timed out", Status.FAIL),
        (Trouble.MISSING, "", Status.FAIL),
        (Trouble.FAILED, "Connection refused", Status.FAIL),
        (Trouble.DENIED, "Permission denied", Status.ERROR),
    ],
)
def test_clamd_does_not_answer(kind, trouble, errors, status) -> None:
    found = judged(kind, program(), CONFIG, version("", trouble=trouble, errors=errors))
    assert found.status is status


@pytest.mark.parametrize("kind", BOTH)
def test_nobody_knows_where_it_listens(kind) -> None:
    assert judged(kind, program(), missing("config")).status is Status.ERROR
    assert judged(kind, program(), reading("config", "# nothing")).status is Status.ERROR
    denied = reading("config", trouble=Trouble.DENIED)
    assert judged(kind, program(), denied).status is Status.ERROR


OURS = [kind for kind in KINDS if kind.startswith("clamav.")]


@pytest.mark.parametrize("kind", OURS)
def test_it_is_not_installed(kind) -> None:
    assert judged(kind, missing("program")).status is Status.NOT_APPLICABLE


@pytest.mark.parametrize("kind", ["clamav.daemon", "clamav.updater"])
def test_daemons(kind) -> None:
    assert judged(kind, program(), reading("processes", process())) == Finding(Status.PASS, 1)
    for broken in ("", process("T"), process("Z")):
        assert judged(kind, program(), reading("processes", broken)).status is Status.FAIL
    assert judged(kind, program(), reading("processes", "x")).status is Status.ERROR


@pytest.mark.parametrize("kind", OURS)
@given(look=looks_of(("config", "version", "eicar", "processes")))
def test_nonsense_is_never_a_pass(kind, look) -> None:
    assert JUDGES[kind](Seen((program(), *look), given_to(kind), NOW, 3)).status is not Status.PASS


@given(st.text(max_size=80))
def test_answers_of_nonsense(text) -> None:
    assert signatures(text).status is not Status.PASS
    assert eicar(text).status is not Status.PASS
