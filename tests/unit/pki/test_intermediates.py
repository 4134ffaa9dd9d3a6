"""What the root's key signs for another master, and which keys and roots it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from hullmark.errors import BrokenState, InvalidInput, Refused
from hullmark.pki import certificates
from hullmark.pki.authority import (
    ROOT_KEY,
    ROOT_LIFE_S,
    Authority,
    create_authority,
    install_authority,
)
from hullmark.pki.intermediates import cluster_of, root_key, sign_intermediate
from hullmark.pki.statements import check_incarnation, sign_incarnation

NOW = 1.8e9


@pytest.fixture
def first(tmp_path: Path) -> Authority:
    return create_authority(tmp_path / "m1", "c1", NOW)


def second_of(first: Authority, folder: Path, now: float = NOW) -> Authority:
    assert first.folder is not None
    key = certificates.new_key()
    csr_pem = certificates.new_request(key, "m2").decode()
    signing = root_key(first.root, first.folder / ROOT_KEY)
    signed = sign_intermediate(csr_pem, "c1", "m2", first.root, signing, now)
    return install_authority(folder, first.root, [signed], key)


def test_the_second_master_signs_under_the_same_root(tmp_path: Path, first: Authority) -> None:
    second = second_of(first, tmp_path / "m2")
    assert Authority.load(tmp_path / "m2").chain == second.chain
    assert second.chain[0].subject != first.chain[0].subject
    assert not (tmp_path / "m2" / ROOT_KEY).exists()
    csr_pem = certificates.new_request(certificates.new_key(), "h1").decode()
    leaf = certificates.load_chain(second.issue_host(csr_pem, "c1", "h1", NOW), "it")
    assert leaf[1:] == list(second.chain)
    assert certificates.is_issued_by(leaf[0], second.chain[0])
    proof = sign_incarnation(second, "c1", 2, reason="reclaimed", by="root", now=NOW)
    check_incarnation(proof, first.root, "c1", 2)


def test_it_ends_no_later_than_the_root(tmp_path: Path, first: Authority) -> None:
    late = NOW + ROOT_LIFE_S - 1000
    second = second_of(first, tmp_path / "m2", late)
    assert certificates.validity(second.chain[0])[1] == certificates.validity(first.root)[1]
    with pytest.raises(BrokenState, match="root has expired"):
        second_of(first, tmp_path / "m3", NOW + ROOT_LIFE_S + 1)


def test_a_root_key_that_was_moved_away_is_asked_for(tmp_path: Path, first: Authority) -> None:
    with pytest.raises(Refused, match="m1/gone does not exist") as caught:
        root_key(first.root, tmp_path / "m1" / "gone")
    assert "--root-key FILE" in caught.value.remedy
    with pytest.raises(Refused, match="not known where"):
        root_key(first.root, None)


def test_another_key_or_one_open_to_others_signs_nothing(tmp_path: Path, first: Authority) -> None:
    other = create_authority(tmp_path / "other", "c1", NOW)
    assert other.folder is not None
    with pytest.raises(BrokenState, match="not the key of the cluster's root"):
        root_key(first.root, other.folder / ROOT_KEY)
    (tmp_path / "m1" / ROOT_KEY).chmod(0o644)
    with pytest.raises(BrokenState, match="accessible to others"):
        root_key(first.root, tmp_path / "m1" / ROOT_KEY)


def test_a_shop_s_own_root_signs_by_the_shop(tmp_path: Path, first: Authority) -> None:
    assert cluster_of(first.root) == "c1"
    # An intermediate stands for a root that has another name.
    assert cluster_of(first.chain[0]) == ""
    with pytest.raises(Refused, match="the shop's own") as caught:
        root_key(first.chain[0], tmp_path / "m1" / ROOT_KEY)
    assert "--ca-chain" in caught.value.remedy


def test_only_a_sound_request_is_signed(first: Authority) -> None:
    assert first.folder is not None
    key = root_key(first.root, first.folder / ROOT_KEY)
    with pytest.raises(InvalidInput, match="csr_pem"):
        sign_intermediate("nothing", "c1", "m2", first.root, key, NOW)
