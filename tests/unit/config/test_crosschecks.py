"""What the keys of a store ask of each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from hullmark.config import load_master
from hullmark.errors import InvalidInput

ETCD = "store: {kind: etcd}\n"
MEMBER = 'store.etcd.endpoints: ["https://e1:2379"]\n'
LOCAL = 'store.etcd.endpoints: ["http://127.0.0.1:2379"]\n'
CA = "store.etcd.ca: /ca\n"


@pytest.fixture
def main(tmp_path: Path) -> Path:
    return tmp_path / "master.yaml"


def wrong(main: Path, text: str) -> list[str]:
    main.write_text(text)
    with pytest.raises(InvalidInput) as caught:
        load_master(str(main))
    return [str(one).replace(f"{main.parent}/", "") for one in caught.value.problems]


@pytest.mark.parametrize(
    "more",
    [
        LOCAL,
        MEMBER + CA,
        MEMBER + CA + "store.etcd.cert: /c\nstore.etcd.key: /k\n",
        MEMBER + CA + "store.etcd.user: u\nstore.etcd.password_file: /p\n",
    ],
)
def test_a_store_that_has_all_it_needs(main: Path, more: str) -> None:
    main.write_text(ETCD + more)
    assert load_master(str(main)).config.store_kind == "etcd"


def test_what_is_not_in_use_may_be_unfinished(main: Path) -> None:
    main.write_text(MEMBER + "store.etcd.user: u\n")
    assert load_master(str(main)).config.store_kind == "sqlite"


def test_etcd_without_members(main: Path) -> None:
    assert wrong(main, ETCD) == [
        (
            "master.yaml:1: store.kind: etcd, but store.etcd.endpoints names no member "
            "(allowed: store.etcd.endpoints: [https://HOST:2379, ...], the members of etcd)"
        )
    ]


def test_tls_without_an_authority(main: Path) -> None:
    (problem,) = wrong(main, ETCD + MEMBER)
    assert problem.startswith(
        "master.yaml:2: store.etcd.endpoints: https, but store.etcd.ca names no authority"
    )


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ("cert: /c", "key"),
        ("key: /k", "cert"),
        ("user: u", "password_file"),
        ("password_file: /p", "user"),
    ],
)
def test_half_of_a_pair(main: Path, given: str, missing: str) -> None:
    name = given.partition(":")[0]
    assert wrong(main, f"{ETCD}{LOCAL}store.etcd.{given}\n") == [
        (
            f"master.yaml:3: store.etcd.{name}: nothing without store.etcd.{missing} "
            "(allowed: both, or neither)"
        )
    ]
