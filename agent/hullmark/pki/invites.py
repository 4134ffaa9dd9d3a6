"""Invite tokens: what an operator carries from a master to a new host.

`hmi1.` and base64url of a JSON object: where the masters' API is, the root's fingerprint, the host's name, and a
secret of 256 bits that is good for one enrolment. The store keeps only the secret's SHA-256.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import secrets
from dataclasses import dataclass

from hullmark.errors import InvalidInput, Problem
from hullmark.model.wire import canonical, from_wire, to_wire

PREFIX = "hmi1."
MAX_TOKEN_CHARACTERS = 4096


@dataclass(frozen=True)
class Invite:
    """`masters`: URLs of the API, `https://HOST:PORT`. `fingerprint`: SHA-256 of the root's DER form."""

    masters: tuple[str, ...]
    fingerprint: str
    host: str
    secret: str

    def __repr__(self) -> str:
        return f"Invite(host={self.host!r}, masters={self.masters!r})"

    def text(self) -> str:
        return PREFIX + base64.urlsafe_b64encode(canonical(to_wire(self))).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> Invite:
        """Raises InvalidInput, which never repeats what was given."""
        token = text.strip()
        if not token.startswith(PREFIX) or len(token) > MAX_TOKEN_CHARACTERS:
            raise _wrong(f"it does not begin with {PREFIX} or is too long")
        body = token[len(PREFIX) :]
        try:
            decoded = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
            invite = from_wire(cls, decoded)
        except (ValueError, binascii.Error, InvalidInput, RecursionError):
            raise _wrong("it is damaged, perhaps cut off") from None
        if not invite.masters or not all(url.startswith("https://") for url in invite.masters):
            raise _wrong("it names no master")
        return invite


def new_secret() -> str:
    return secrets.token_urlsafe(32)


def secret_hash(secret: str) -> str:
    """What the store keeps of a secret: SHA-256, 64 hexadecimal digits."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _wrong(why: str) -> InvalidInput:
    return InvalidInput(
        [Problem(f"not an invite token: {why}")], remedy="make a new one: hullmark invite HOST"
    )
