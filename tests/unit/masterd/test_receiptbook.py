"""Which receipts a host is told of, and how many are kept."""

from __future__ import annotations

import pytest

from hullmark.masterd import receiptbook
from hullmark.masterd.receiptbook import Receipts
from hullmark.model.outage import Receipt, ReceiptsRequest

WALL = [1000.0]
A, B = "a" * 32, "b" * 32


@pytest.fixture
def book() -> Receipts:
    WALL[0] = 1000.0
    return Receipts(lambda: WALL[0])


def find(book: Receipts, host: str, *nonces: str) -> None:
    found = tuple(Receipt("anything", nonce, "a lie", 1.0) for nonce in nonces)
    book.exchange(host, f"host {host}", ReceiptsRequest(found), 0.0)


def told(book: Receipts, host: str, *nonces: str) -> dict[str, str]:
    answer = book.exchange(host, f"host {host}", ReceiptsRequest((), nonces), 0.0)
    return {receipt.nonce: receipt.seen_by for receipt in answer.receipts}


def test_a_host_is_told_who_found_what_it_asks_about(book: Receipts) -> None:
    find(book, "log1", A, B)
    assert told(book, "web1", A) == {A: "host log1"}
    assert told(book, "web1", "c" * 32) == {}


def test_nobody_vouches_for_itself(book: Receipts) -> None:
    find(book, "web1", A)
    assert told(book, "web1", A) == {}
    assert told(book, "web2", A) == {A: "host web1"}


def test_what_a_host_finds_of_itself_hides_nobody_elses_receipt(book: Receipts) -> None:
    own = Receipt("web1", A, "", 1.0)
    book.exchange("web1", "host web1", ReceiptsRequest((own,)), 0.0)
    book.exchange("log1", "host log1", ReceiptsRequest((own,)), 0.0)
    assert told(book, "web1", A) == {A: "host log1"}


def test_the_first_who_found_it_stands(book: Receipts) -> None:
    find(book, "log1", A)
    find(book, "log2", A)
    assert told(book, "web1", A) == {A: "host log1"}


def test_old_ones_are_forgotten(book: Receipts) -> None:
    find(book, "log1", A)
    WALL[0] += receiptbook.KEPT_S + 1
    assert told(book, "web1", A) == {}


def test_one_host_can_not_fill_the_book(book: Receipts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiptbook, "OF_ONE_HOST", 3)
    monkeypatch.setattr(receiptbook, "KEPT_MOST", 5)
    nonces = [f"{number:032x}" for number in range(6)]
    find(book, "evil", *nonces)
    assert len(told(book, "web1", *nonces)) == 3
    find(book, "log1", A)
    assert told(book, "web1", A) == {A: "host log1"}


def test_since_when_it_is_known(book: Receipts) -> None:
    assert book.exchange("x", "host x", ReceiptsRequest(), 900.0).known_since == 1000.0
    assert book.exchange("x", "host x", ReceiptsRequest(), 1100.0).known_since == 1100.0
