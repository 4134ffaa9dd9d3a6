"""Accepted orders on the disk: whatever happens to the files, what is read is what was written, or nothing."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from hullmark.agentd import statefile
from hullmark.core.acceptance import Held
from hullmark.errors import BrokenState
from hullmark.model.epoch import Epoch
from hullmark.model.orders import InstanceId
from tests.unit.agentd.fakes import bundle_of, orders_of

A, B = statefile.NAMES
WEB = InstanceId("shop", "web", 1, 1)
ORDERS = orders_of([(WEB, bundle_of())])
HELD = Held(ORDERS.cluster_id, ORDERS.host_id, ORDERS.epoch, ORDERS.leader, ORDERS.revision)


def test_nothing_was_ever_accepted(tmp_path: Path) -> None:
    assert statefile.load(tmp_path) == statefile.Stored(None)


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    statefile.save(tmp_path, ORDERS)
    assert statefile.load(tmp_path) == statefile.Stored(ORDERS, held=HELD)
    assert (tmp_path / A).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("name", [A, B])
def test_one_copy_cut_anywhere_leaves_the_other(tmp_path: Path, name: str) -> None:
    statefile.save(tmp_path, ORDERS)
    content = (tmp_path / name).read_bytes()
    for length in range(len(content)):
        (tmp_path / name).write_bytes(content[:length])
        assert statefile.load(tmp_path) == statefile.Stored(ORDERS, (str(tmp_path / name),), HELD)


def test_a_flipped_bit_anywhere_is_seen(tmp_path: Path) -> None:
    statefile.save(tmp_path, ORDERS)
    content = (tmp_path / A).read_bytes()
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << (place % 8)
        (tmp_path / A).write_bytes(damaged)
        assert statefile.load(tmp_path) == statefile.Stored(ORDERS, (str(tmp_path / A),), HELD)


def test_both_damaged_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    statefile.save(tmp_path, ORDERS)
    for name in statefile.NAMES:
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-1])
    with pytest.raises(BrokenState) as caught:
        statefile.load(tmp_path)
    assert A in caught.value.message
    assert f"mv {tmp_path}/state-*.json" in caught.value.remedy


def test_one_missing_and_one_damaged_is_an_error_too(tmp_path: Path) -> None:
    statefile.save(tmp_path, ORDERS)
    (tmp_path / A).unlink()
    (tmp_path / B).write_bytes(b"")
    with pytest.raises(BrokenState):
        statefile.load(tmp_path)


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        (orders_of(revision=7), orders_of(revision=8)),
        (orders_of(revision=8), orders_of(epoch=Epoch(1, 2), revision=3)),
        (orders_of(epoch=Epoch(1, 9)), orders_of(epoch=Epoch(2, 1))),
    ],
)
def test_of_two_sound_copies_the_newer_holds(tmp_path: Path, older, newer) -> None:
    for first, second in ((older, newer), (newer, older)):
        statefile.save(tmp_path, first)
        kept = (tmp_path / A).read_bytes()
        statefile.save(tmp_path, second)
        (tmp_path / A).write_bytes(kept)
        assert statefile.load(tmp_path).orders == newer


def test_what_was_held_outlives_the_orders(tmp_path: Path) -> None:
    statefile.save(tmp_path, ORDERS)
    for name in statefile.NAMES:
        (tmp_path / name).unlink()
    assert statefile.load(tmp_path) == statefile.Stored(None, held=HELD)
    (tmp_path / statefile.HELD).write_bytes(b"x")
    with pytest.raises(BrokenState, match="which leader"):
        statefile.load(tmp_path)


def test_killed_at_any_write_what_is_held_is_not_ahead_of_the_orders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Orders that are behind what is held would never be asked for again."""
    rename = Path.replace
    for kill_at in range(3):
        statefile.save(tmp_path, ORDERS)
        left = [kill_at]

        def replace(self: Path, target: Path, left: list[int] = left) -> Path:
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
            return rename(self, target)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", replace)
            with pytest.raises(KeyboardInterrupt):
                statefile.save(tmp_path, orders_of(revision=9))
        stored = statefile.load(tmp_path)
        assert stored.orders is not None
        assert stored.held is not None
        assert stored.held.revision <= stored.orders.revision


def test_another_form_is_not_guessed_at(tmp_path: Path) -> None:
    statefile.save(tmp_path, ORDERS)
    body = b'{"form":2,"orders":{}}'
    content = hashlib.sha256(body).hexdigest().encode() + b"\n" + body
    for name in statefile.NAMES:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(BrokenState):
        statefile.load(tmp_path)


def test_a_write_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    statefile.save(tmp_path, ORDERS)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        statefile.save(tmp_path, orders_of(revision=9))
    assert statefile.load(tmp_path).orders == ORDERS
    assert sorted(path.name for path in tmp_path.iterdir()) == [statefile.HELD, A, B]
