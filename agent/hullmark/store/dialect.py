"""How etcd v3 speaks over its JSON gateway: keys and values in base64, numbers in text, and its words for a "no"."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from enum import Enum
from typing import Any, Optional

from hullmark.store.protocol import Change, Compare, Entry, Put, Write

MAX_REVISION = (1 << 63) - 1


class Verdict(Enum):
    """What an answer that is no success means."""

    REFUSED = "no"
    FORBIDDEN = "not for this user"
    LOGIN = "the token has expired, or is not known to this member"
    UNGUARDED = "this etcd asks nobody for a password"
    FULL = "nothing more is written until space was made; what passed the quota was"
    COMPACTED = "this revision is gone"
    AHEAD = "this revision is yet to come"
    ELSEWHERE = "this member can't, and did nothing"
    UNKNOWN = "it may have happened"


_WORDS = (
    ("invalid auth token", Verdict.LOGIN),
    ("revision of auth store is old", Verdict.LOGIN),
    ("authentication is not enabled", Verdict.UNGUARDED),
    ("permission denied", Verdict.FORBIDDEN),
    ("user name is empty", Verdict.FORBIDDEN),
    ("authentication failed", Verdict.FORBIDDEN),
    ("CommonName of client", Verdict.FORBIDDEN),
    ("database space exceeded", Verdict.FULL),
    ("has been compacted", Verdict.COMPACTED),
    ("is a future revision", Verdict.AHEAD),
    ("etcdserver: no leader", Verdict.ELSEWHERE),
    ("too many requests", Verdict.ELSEWHERE),
    ("not supported for learner", Verdict.ELSEWHERE),
)
"""Messages of etcd 3.4 and 3.5 (api/v3rpc/rpctypes/error.go), each sent before anything was written, but for FULL."""

_NO_CODES = (3, 5, 6, 7, 9, 12)
"""google.golang.org/grpc/codes: the request itself is wrong, whichever member gets it."""


def verdict(code: int, message: str) -> Verdict:
    """`code` is gRPC's; of an answer that isn't gRPC's it is 0. What is not known is UNKNOWN."""
    for words, meaning in _WORDS:
        if words in message:
            return meaning
    return Verdict.REFUSED if code in _NO_CODES else Verdict.UNKNOWN


def remedy(message: str) -> str:
    """What to do about a FORBIDDEN or a FULL."""
    if "permission denied" in message:
        return (
            "give etcd's user the right to read and write all keys below /hullmark/: "
            "etcdctl role grant-permission ROLE --prefix=true readwrite /hullmark/"
        )
    if "CommonName" in message:
        return "make the certificate of store.etcd.cert without a common name: etcd 3.4 refuses one"
    if "space exceeded" in message:
        return (
            "make space: etcdctl defrag on each member, then etcdctl alarm disarm; "
            "if it is full again, raise --quota-backend-bytes"
        )
    return "check store.etcd.user and the password in store.etcd.password_file"


def said(answer: Mapping[str, Any]) -> tuple[int, str]:
    """Code and message of an error; 3.4 and 3.5 have other forms, and a stream's has it inside `error`."""
    inner = answer.get("error")
    if isinstance(inner, Mapping):
        return said(inner)
    code = answer.get("code") or answer.get("grpc_code") or 0
    return int(code), str(answer.get("message") or inner or "")


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def prefix_range(prefix: str, start: Optional[bytes] = None) -> dict[str, Any]:
    """The fields of a request for all keys with the prefix, from `start` on. The empty one is that of all keys."""
    if not prefix:
        return {"key": encoded(start or b"\0"), "range_end": encoded(b"\0")}
    first = prefix.encode()
    end = first[:-1] + bytes([first[-1] + 1])  # UTF-8 has no byte 255
    return {"key": encoded(start or first), "range_end": encoded(end)}


def compare_request(compare: Compare) -> dict[str, Any]:
    key = encoded(compare.key.encode())
    revision = str(min(compare.modified, MAX_REVISION))
    return {"key": key, "target": "MOD", "result": "EQUAL", "mod_revision": revision}


def write_request(write: Write) -> dict[str, Any]:
    key = encoded(write.key.encode())
    if isinstance(write, Put):
        return {"request_put": {"key": key, "value": encoded(write.value)}}
    return {"request_delete_range": {"key": key}}


def revision_of(answer: Mapping[str, Any]) -> int:
    return int(answer["header"].get("revision", 0))


def entry_of(pair: Mapping[str, Any]) -> Entry:
    key, value = base64.b64decode(pair["key"]), base64.b64decode(pair.get("value", ""))
    created, modified = int(pair["create_revision"]), int(pair["mod_revision"])
    return Entry(key.decode(errors="replace"), value, created, modified)


def change_of(event: Mapping[str, Any]) -> Change:
    pair = event["kv"]
    key = base64.b64decode(pair["key"]).decode(errors="replace")
    deleted = event.get("type") == "DELETE"
    value = None if deleted else base64.b64decode(pair.get("value", ""))
    return Change(key, value, int(pair["mod_revision"]))
