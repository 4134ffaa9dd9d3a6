"""What the controls of a host come to, and which functions none of them carries."""

from __future__ import annotations

from hullmark.core.coverage import numbers, tally, uncovered
from hullmark.model.control import ControlState, Mode, Posture, Status
from hullmark.model.postureview import ControlNumbers


def posture(*states: tuple[str, str, Status, int]) -> Posture:
    controls = {
        name: ControlState(name, function, name, status, level)
        for name, function, status, level in states
    }
    return Posture("web1", Mode.RUN, controls, 1.0)


def test_functions_that_no_control_carries() -> None:
    found = posture(
        ("time-b", "time", Status.NOT_APPLICABLE, -1),
        ("time-a", "time", Status.NOT_APPLICABLE, -1),
        ("ufw", "firewall", Status.NOT_APPLICABLE, -1),
        ("nftables", "firewall", Status.FAIL, -1),
        ("edr", "site-edr", Status.NOT_APPLICABLE, -1),
        ("audit", "audit-trail", Status.NOT_APPLICABLE, -1),
        ("engine", "engine-hardening", Status.NOT_APPLICABLE, -1),
    )
    assert list(uncovered(found).items()) == [
        ("audit-trail", ("audit",)),
        ("time", ("time-a", "time-b")),
        ("site-edr", ("edr",)),
    ]


def test_a_tally() -> None:
    found = tally(
        posture(
            ("a", "time", Status.PASS, 2),
            ("b", "firewall", Status.PASS, 4),
            ("c", "patching", Status.FAIL, 4),
            ("d", "anti-malware", Status.ERROR, -1),
            ("e", "audit-trail", Status.NOT_RUN, -1),
            ("f", "local-logging", Status.NOT_APPLICABLE, -1),
        )
    )
    assert (found.passing, found.failing, found.unclear, found.not_run) == (2, 1, 1, 1)
    assert (found.level, found.highest, found.not_proven) == (4, 1, 4)
    nothing = tally(posture())
    assert (nothing.passing, nothing.level, nothing.highest, nothing.not_proven) == (0, -1, 0, 0)


def test_numbers_of_a_host_and_their_word() -> None:
    found = posture(
        ("a", "time", Status.PASS, 2),
        ("b", "firewall", Status.FAIL, -1),
        ("c", "patching", Status.ERROR, -1),
        ("d", "audit-trail", Status.NOT_RUN, -1),
        ("e", "local-logging", Status.NOT_APPLICABLE, -1),
    )
    assert numbers(found) == ControlNumbers(1, 1, 1, 1, 1)
    assert numbers(found, heard=False) == ControlNumbers(not_run=4, absent=1)
    words = [
        ControlNumbers(5, 2, 1, 1, 1),
        ControlNumbers(5, 0, 1, 1, 1),
        ControlNumbers(5, 0, 0, 1, 1),
        ControlNumbers(5),
        ControlNumbers(),
    ]
    assert [one.word for one in words] == ["2 FAIL", "1 ERROR", "2 unproven", "5 ok", "-"]


def test_where_nothing_applies_nothing_is_proven() -> None:
    assert tally(posture()).empty
    assert tally(posture(("e", "engine-hardening", Status.NOT_APPLICABLE, -1))).empty
    assert not tally(posture(("e", "time", Status.NOT_APPLICABLE, -1))).empty
    assert not tally(posture(("e", "time", Status.NOT_RUN, -1))).empty
