"""The proof of an incarnation: that an operator who holds the cluster's authority began it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class IncarnationProof:
    """Signed by an intermediate of the cluster's: `signature` is over the canonical JSON of all other fields but
    `chain_pem`, with a `kind` beside them (`pki.statements`), in hexadecimal; `algorithm` names how. `chain_pem` is the intermediate's certificate and what is between it
    and the root. `reason` is `restored` or `reclaimed`, `by` who did it."""

    cluster_id: str
    incarnation: int
    made_at: float
    reason: str
    by: str
    algorithm: str
    signature: str
    chain_pem: str
