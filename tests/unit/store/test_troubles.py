"""What people are told of an etcd."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hullmark.model.redundancy import StoreMember
from hullmark.store.troubles import QUOTA_BYTES, Expiry, Seen, condition

GOOD = tuple(
    StoreMember(f"e{number}", f"https://e{number}:2379", True, number == 1, "3.5.16", 900, 800)
    for number in (1, 2, 3)
)
SILENT = replace(GOOD[1], answers=False, silent_s=840.0)


def sized(size_bytes: int) -> StoreMember:
    return replace(GOOD[0], size_bytes=size_bytes, used_bytes=size_bytes)


def test_nothing_is_wrong() -> None:
    found = condition(Seen(GOOD, expiries=(Expiry("c", 31),)))
    assert (found.quorum, found.troubles, found.remedies) == (True, (), ())
    assert found.members == GOOD


@pytest.mark.parametrize(
    ("seen", "trouble"),
    [
        (Seen((GOOD[0], SILENT, GOOD[2])), "member e2 silent for 840 s"),
        (
            Seen((replace(GOOD[0], trouble="memberID:1 alarm:NOSPACE"),)),
            "member e1 is full (NOSPACE): nothing can be written",
        ),
        (
            Seen((replace(GOOD[0], trouble="memberID:1 alarm:CORRUPT"),)),
            "member e1: memberID:1 alarm:CORRUPT",
        ),
        (
            Seen((sized(int(QUOTA_BYTES * 0.81)),)),
            "member e1 has 1739 MB, more than 80 % of etcd's usual quota of 2147 MB",
        ),
        (
            Seen((sized(90_000_000),), quotas={GOOD[0].endpoint: 100_000_000}),
            "member e1 has 90 MB, more than 80 % of its quota of 100 MB",
        ),
        (
            Seen((replace(GOOD[0], size_bytes=300_000_000, used_bytes=100_000_000),)),
            "member e1: 200 MB of its file of 300 MB unused",
        ),
        (Seen(GOOD, expiries=(Expiry("the certificate", 9.2),)), "the certificate expires in 9 d"),
        (Seen(GOOD, expiries=(Expiry("the certificate", -2),)), "the certificate has expired"),
        (
            Seen((replace(GOOD[0], version="3.4.23"), GOOD[1])),
            "members of different versions: 3.4, 3.5",
        ),
        (Seen(GOOD, unnamed=("e4",)), "store.etcd.endpoints does not name member e4"),
        (Seen(GOOD, unguarded=True), "etcd asks nobody for a password"),
        (
            Seen(GOOD, failure="etcd refuses: permission denied", remedy="grant", forbidden=True),
            "etcd refuses: permission denied",
        ),
    ],
)
def test_one_trouble(seen: Seen, trouble: str) -> None:
    found = condition(seen)
    assert found.troubles == (trouble,)
    assert found.quorum
    assert len(found.remedies) == 1
    assert found.remedies[0]


@pytest.mark.parametrize(
    "member",
    [
        replace(GOOD[0], size_bytes=90_000_000, used_bytes=0),  # small enough to leave it
        replace(GOOD[0], size_bytes=300_000_000, used_bytes=160_000_000),  # half is in use
        sized(int(QUOTA_BYTES * 0.79)),
    ],
)
def test_what_is_no_trouble_yet(member: StoreMember) -> None:
    assert condition(Seen((member,))).troubles == ()


def test_without_a_quorum_that_comes_first() -> None:
    found = condition(Seen((SILENT, SILENT, GOOD[2]), failure="no answer"))
    assert not found.quorum
    assert found.troubles[0] == "no quorum: 2 of 3 members silent"
    assert len(found.troubles) == len(found.remedies) == 3
