"""What engines' events mean: the sequences are those that Docker 20.10 and Podman 4.3 sent."""

from __future__ import annotations

import math

import pytest

from hullmark.core.byhand import (
    NO_PAST,
    UNKNOWN,
    Known,
    Past,
    Sign,
    acts,
    belongs,
    check_text,
    plugged,
    program_of,
)
from hullmark.core.ration import Ration

AUTO_REMOVE, RESTARTING = Known(removes=True), Known(restarts=True)


def signs(words: str, about: str = "container", at: float = 1000.0) -> list[Sign]:
    """One event each 0.1 s."""
    found = enumerate(words.split())
    return [Sign(about, action, "ab12", "web", at + 0.1 * number) for number, action in found]


def read(words: str, known: Known = UNKNOWN, past: Past = NO_PAST, about: str = "container") -> str:
    return " ".join(act.what for act in acts(signs(words, about), known, past))


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ("create start", "run"),
        ("create attach start die", "run"),
        ("create", "create"),
        ("start", "start"),
        ("attach start", "start"),
        ("attach", "attach"),
        ("kill die", "kill"),
        ("kill", "kill"),
        ("kill kill die stop", "stop"),
        ("kill kill die stop start restart", "restart"),
        ("create start kill die stop start restart", "run restart"),
        ("kill die stop start kill die stop start restart", "stop start restart"),
        ("start restart", "restart"),
        ("kill die destroy", "remove"),
        ("kill die stop destroy", "stop remove"),
        ("destroy", "remove"),
        ("create attach start die destroy", "run"),
        ("pause commit unpause", "commit"),
        ("commit", "commit"),
        ("pause", "pause"),
        ("pause unpause", "pause unpause"),
        (
            "rename update archive-path extract-to-dir export",
            "rename update copy-out copy-in export",
        ),
        ("exec_create exec_create", "exec exec"),
        ("die", ""),
        ("health_status oom exec_die exec_start top cleanup mystery", ""),
        # Podman
        ("create init attach start die destroy", "run"),
        ("restart stop die init start", "restart"),
        ("restart stop die init start stop die", "restart stop"),
        ("restart init start kill", "restart kill"),
        ("kill die cleanup", "kill"),
        ("kill die cleanup cleanup", "kill"),
        ("stop die cleanup cleanup", "stop"),
        ("die cleanup", ""),
        ("die cleanup cleanup", "stop"),
        ("die cleanup init start die cleanup", "start"),
    ],
)
def test_what_is_read(words: str, what: str) -> None:
    assert read(words) == what


def test_what_an_engine_does_by_its_own_policy_is_nobodys_act() -> None:
    assert read("die start die start", RESTARTING) == ""
    assert read("die restart init start", RESTARTING) == ""
    assert read("start", RESTARTING, Past(ended_at=950.0)) == ""
    assert read("start", RESTARTING, Past(ended_at=900.0)) == "start"
    assert read("start", RESTARTING, Past(ended_at=950.0, heard_since=1.0)) == ""
    assert read("die start", Known()) == "start"


def test_a_start_after_somebodys_stop_is_somebodys() -> None:
    assert read("kill die start", RESTARTING) == "kill start"
    assert read("kill die stop start restart", RESTARTING) == "restart"
    assert read("restart stop die init start", RESTARTING) == "restart"


def test_what_starts_when_the_engine_comes_back_is_its_own() -> None:
    assert read("start", RESTARTING, Past(heard_since=990.0)) == ""
    assert read("start", RESTARTING, Past(heard_since=900.0)) == "start"
    assert read("start", Known(), Past(heard_since=990.0)) == "start"


def test_a_container_that_removes_itself() -> None:
    assert read("die destroy", AUTO_REMOVE) == ""
    assert read("destroy", AUTO_REMOVE, Past(ended_at=990.0)) == ""
    assert read("destroy", AUTO_REMOVE) == "remove"
    assert read("die destroy") == "remove"


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ("untag delete", "image-delete"),
        ("untag", "image-untag"),
        ("delete", "image-delete"),
        ("tag import", "image-import"),
        ("load", "image-load"),
        ("pull", "image-pull"),
        ("tag push", "image-tag image-push"),
        ("mystery", ""),
    ],
)
def test_images(words: str, what: str) -> None:
    assert read(words, about="image") == what


def test_networks_and_volumes() -> None:
    assert read("create destroy", about="network") == "network-create network-remove"
    assert read("create mount unmount destroy", about="volume") == "volume-create volume-remove"
    assert acts([]) == ()


def test_what_is_a_part_of_another_act() -> None:
    made = Sign("container", "create", "ab12", "web", 10.0)
    assert belongs(Sign("volume", "create", "v", "v", 9.5), made)
    assert not belongs(Sign("volume", "create", "v", "v", 10.5), made)
    assert not belongs(Sign("volume", "create", "v", "v", 8.5), made)
    gone = Sign("container", "destroy", "ab12", "web", 10.0)
    assert belongs(Sign("volume", "destroy", "", "a" * 64, 10.5), gone)
    assert not belongs(Sign("volume", "destroy", "", "data", 10.5), gone)
    committed = Sign("container", "commit", "ab12", "web", 10.0, {"imageID": "sha256:1"})
    assert belongs(Sign("image", "tag", "sha256:1", "x", 10.0), committed)
    assert not belongs(Sign("image", "tag", "sha256:2", "x", 10.0), committed)
    assert not belongs(Sign("network", "create", "n", "n", 10.0), made)


def test_how_a_health_check_is_told() -> None:
    assert check_text(["CMD", "probe", "-v"]) == "probe -v"
    assert check_text(["CMD-SHELL", "test -d /tmp"]) == "/bin/sh -c test -d /tmp"
    assert check_text(["CMD-SHELL", "x"], ["/bin/ash", "-ec"]) == "/bin/ash -ec x"
    assert check_text(["CMD", "true"]) == "true"
    for none in ([], ["NONE"], ["CMD"], ["NONE", "x"]):
        assert check_text(none) == ""


def test_of_a_command_no_more_than_its_program_is_kept() -> None:
    assert program_of("psql -c select") == ("psql", 3)
    assert program_of("") == ("", 0)
    assert program_of("a" * 900 + " b") == ("a" * 200, 2)
    assert program_of("\x1b[31mrm x") == ("[31mrm", 2)


def test_a_ration() -> None:
    ration = Ration(2, 0.5, 100.0)
    assert [ration.take(100.0) for _ in range(4)] == [True, True, False, False]
    assert ration.release(101.0) == 0
    assert ration.release(102.0) == 2
    assert ration.release(110.0) == 0
    assert [ration.take(1000.0) for _ in range(3)] == [True, True, False]


def plug(action: str, at: float, network: str = "back") -> Sign:
    return Sign("container", action, "ab12", "", at, {"network": network})


@pytest.mark.parametrize(
    ("events", "running_since", "what"),
    [
        ("connect 1100 back", 1000.0, "network-connect"),
        ("disconnect 1100 back, disconnect 1100.002 back", 1000.0, "network-disconnect"),
        ("disconnect 1100 back, disconnect 1100 front", 1000.0, "network-disconnect " * 2),
        (
            "connect 1100 back, disconnect 1100.1 back, connect 1100.2 back",
            1000.0,
            "network-connect network-disconnect network-connect",
        ),
        ("disconnect 1100 back, disconnect 1102 back", 1000.0, "network-disconnect " * 2),
        # a start, a restart, an end, an end and a start by the engine's policy, and one that is not there any more
        ("connect 999.8 back", 1000.0, ""),
        ("disconnect 990 back, connect 999.8 back", 1000.0, ""),
        ("disconnect 1100 back", math.inf, ""),
    ],
)
def test_who_is_put_on_a_network_or_taken_off_while_it_runs(
    events: str, running_since: float, what: str
) -> None:
    told = [
        plug(action, float(at), network)
        for action, at, network in (one.split() for one in events.split(", "))
    ]
    assert [act.what for act in plugged(told, running_since)] == what.split()
