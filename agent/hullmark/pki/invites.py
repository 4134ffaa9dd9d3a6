"""Invite tokens: what an operator carries from a master to a new host, or to a new master.

`hmi1.` (a host's) or `hmj1.` (a master's) and base64url of a JSON object: where the masters' API is, the root's fingerprint,
the name of who is invited, and a secret of 256 bits that is good for one enrolment. The store keeps only the secret's SHA-256.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from dataclasses import dataclass

from hullmark.errors import InvalidInput, Problem
from hullmark.model import jsontext
from hullmark.model.wire import canonical, from_wire, to_wire

HOST, MASTER = "host", "master"
"""Kinds of invites. One is never good as the other: a master gets an authority of its own."""
PREFIX = "hmi1."
PREFIXES = {HOST: PREFIX, MASTER: "hmj1."}
_COMMANDS = {HOST: "hullmark invite HOST", MASTER: "hullmark master invite NAME"}
_USES = {HOST: "hullmark agent enroll", MASTER: "hullmark master join"}
MAX_TOKEN_CHARACTERS = 4096


@dataclass(frozen=True)
class Invite:
    """`masters`: URLs of the API, `https://HOST:PORT`. `fingerprint`: SHA-256 of the root's DER form. `host`: the name of the
    host, or of the master."""

    masters: tuple[str, ...]
    fingerprint: str
    host: str
    secret: str

    def __repr__(self) -> str:
        return f"Invite(host={self.host!r}, masters={self.masters!r})"

    def text(self, kind: str = HOST) -> str:
        body = base64.urlsafe_b64encode(canonical(to_wire(self))).decode().rstrip("=")
        return PREFIXES[kind] + body

    @classmethod
    def parse(cls, text: str, kind: str = HOST) -> Invite:
        """Raises InvalidInput, which never repeats what was given."""
        token, prefix = text.strip(), PREFIXES[kind]
        for other, its in PREFIXES.items():
            if other != kind and token.startswith(its):
                raise _wrong(f"it is a {other}'s: {_USES[other]} takes it", kind)
        if not token.startswith(prefix) or len(token) > MAX_TOKEN_CHARACTERS:
            raise _wrong(f"it does not begin with {prefix} or is too long", kind)
        body = token[len(prefix) :]
        try:
            decoded = jsontext.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
            invite = from_wire(cls, decoded)
        except (ValueError, binascii.Error, InvalidInput):
            raise _wrong("it is damaged, perhaps cut off", kind) from None
        if not invite.masters or not all(url.startswith("https://") for url in invite.masters):
            raise _wrong("it names no master", kind)
        return invite


def new_secret() -> str:
    return secrets.token_urlsafe(32)


def secret_hash(secret: str) -> str:
    """What the store keeps of a secret: SHA-256, 64 hexadecimal digits."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _wrong(why: str, kind: str) -> InvalidInput:
    problem = Problem(f"not an invite token: {why}")
    return InvalidInput([problem], remedy=f"make a new one: {_COMMANDS[kind]}")
