"""What the controls of a host come to, and which functions none of them carries."""

from __future__ import annotations

from hullmark.core.coverage import tally, uncovered
from hullmark.model.control import ControlState, Mode, Posture, Status


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
