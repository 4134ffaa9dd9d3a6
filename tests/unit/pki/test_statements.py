"""What a cluster's authority signs, and every way in which somebody else's word is told from it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from hullmark.errors import BrokenState, Refused
from hullmark.model.incarnation import IncarnationProof
from hullmark.model.wire import from_wire, to_wire
from hullmark.pki import certificates
from hullmark.pki.authority import (
    INTERMEDIATE_LIFE_S,
    MASTER_LIFE_S,
    Authority,
    create_authority,
)
from hullmark.pki.statements import (
    ALGORITHM,
    check_incarnation,
    check_signature,
    sign,
    sign_incarnation,
    signer_chain,
)

NOW = 1.8e9


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return create_authority(tmp_path / "pki", "c1", NOW)


@pytest.fixture
def proof(authority: Authority) -> IncarnationProof:
    return sign_incarnation(authority, "c1", 2, reason="restored", by="ann (uid 1000)", now=NOW)


def test_a_proof_is_good_also_after_a_trip_over_the_wire(
    authority: Authority, proof: IncarnationProof
) -> None:
    assert proof.algorithm == ALGORITHM
    again = from_wire(IncarnationProof, to_wire(proof))
    check_incarnation(again, authority.root, "c1", 2)
    check_incarnation(again, authority.root_pem.encode(), "c1", 2)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"cluster_id": "c2"}, "of another cluster"),
        ({"incarnation": 3}, "of incarnation 3"),
        ({"by": "mallory"}, "does not fit what it says"),
        ({"by": ""}, "does not fit what it says"),
        ({"reason": "reclaimed"}, "does not fit what it says"),
        ({"made_at": NOW + 1}, "does not fit what it says"),
        ({"made_at": NOW - 86400}, "was not good when it was signed"),
        ({"made_at": NOW + INTERMEDIATE_LIFE_S + 60}, "was not good when it was signed"),
        ({"algorithm": "none"}, "signed by 'none'"),
        ({"algorithm": ""}, "signed by ''"),
        ({"signature": ""}, "does not fit"),
        ({"signature": "zz"}, "does not fit"),
        ({"signature": "00" * 4096}, "no signature"),
        ({"chain_pem": ""}, "can't be read"),
        ({"chain_pem": "-----BEGIN CERTIFICATE-----\n\udc80"}, "can't be read"),
        ({"chain_pem": "x" * 40_000}, "too long"),
    ],
)
def test_whatever_was_changed_is_told(
    authority: Authority, proof: IncarnationProof, change: dict[str, object], why: str
) -> None:
    with pytest.raises(Refused, match=why):
        check_incarnation(
            dataclasses.replace(proof, **change),  # type: ignore[arg-type]
            authority.root,
            "c1",
            2,
        )


def test_another_authority_of_the_same_name_proves_nothing(
    tmp_path: Path, authority: Authority
) -> None:
    other = create_authority(tmp_path / "other", "c1", NOW)
    forged = sign_incarnation(other, "c1", 2, reason="restored", by="ann", now=NOW)
    with pytest.raises(Refused, match="does not lead to the cluster's root"):
        check_incarnation(forged, authority.root, "c1", 2)
    # Its signature beside our certificates is no better.
    mixed = dataclasses.replace(forged, chain_pem=signer_chain(authority))
    with pytest.raises(Refused, match="does not fit"):
        check_incarnation(mixed, authority.root, "c1", 2)


def test_a_host_or_a_master_proves_nothing_with_its_own_certificate(
    authority: Authority,
) -> None:
    key = certificates.new_key()
    for chain in (
        authority.issue_host(certificates.new_request(key, "h1").decode(), "c1", "h1", NOW),
        authority.issue_master(key.public_key(), "c1", "m1", ["m1"], NOW, MASTER_LIFE_S),
    ):
        leaf = dataclasses.replace(
            authority, chain=tuple(certificates.load_chain(chain, "leaf")), key=key
        )
        forged = sign_incarnation(leaf, "c1", 2, reason="restored", by="h1", now=NOW)
        with pytest.raises(Refused, match="is no authority"):
            check_incarnation(forged, authority.root, "c1", 2)


def test_too_many_certificates_are_not_looked_at(authority: Authority) -> None:
    with pytest.raises(Refused, match="too many"):
        check_signature(
            authority.root, signer_chain(authority) * 6, b"x", sign(authority, b"x"), ALGORITHM, NOW
        )


def test_a_root_that_is_none_is_this_side_s_fault(proof: IncarnationProof) -> None:
    with pytest.raises(BrokenState, match="the cluster's root"):
        check_incarnation(proof, b"nothing", "c1", 2)


def test_a_signature_is_for_its_content_only(authority: Authority) -> None:
    signature, chain = sign(authority, b"one"), signer_chain(authority)
    check_signature(authority.root, chain, b"one", signature, ALGORITHM, NOW)
    with pytest.raises(Refused, match="does not fit"):
        check_signature(authority.root, chain, b"two", signature, ALGORITHM, NOW)
