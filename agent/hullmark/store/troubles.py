"""What is wrong with an etcd, from what was seen of it: pure, so that each trouble can be tried without one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hullmark.model.redundancy import StoreCondition, StoreMember

QUOTA_BYTES = 2 << 30
"""etcd's default of --quota-backend-bytes, for a member that doesn't publish its own."""

QUOTA_SHARE = 0.8
FRAGMENTED_BYTES = 100 * 1000 * 1000
FRAGMENTED_SHARE = 0.5
EXPIRES_DAYS = 30
NOSPACE = "NOSPACE"


@dataclass(frozen=True)
class Expiry:
    """`what` names a certificate; `days` until it expires, negative where it has."""

    what: str
    days: float


@dataclass(frozen=True)
class Seen:
    """`failure`, `remedy`: of a read that all members agree on; empty: it worked. `unnamed`: members that the configuration
    has no endpoint of. `quotas`: by endpoint, in bytes, as far as members tell."""

    members: tuple[StoreMember, ...]
    failure: str = ""
    remedy: str = ""
    forbidden: bool = False
    unguarded: bool = False
    unnamed: tuple[str, ...] = ()
    expiries: tuple[Expiry, ...] = ()
    quotas: Mapping[str, int] = field(default_factory=dict)


def condition(seen: Seen) -> StoreCondition:
    found = [
        *_of_reading(seen),
        *(one for member in seen.members for one in _of_member(member, seen.quotas)),
        *_of_certificates(seen.expiries),
        *_of_all(seen),
    ]
    return StoreCondition(
        "etcd",
        quorum=not seen.failure or seen.forbidden,
        members=seen.members,
        troubles=tuple(trouble for trouble, _ in found),
        remedies=tuple(remedy for _, remedy in found),
    )


def _of_reading(seen: Seen) -> list[tuple[str, str]]:
    if not seen.failure:
        return []
    if seen.forbidden:
        return [(seen.failure, seen.remedy)]
    silent = sum(not member.answers for member in seen.members)
    what = f"no quorum: {silent} of {len(seen.members)} members silent" if silent else "no quorum"
    return [(what, "bring back enough members that more than half run: systemctl start etcd")]


def _of_member(member: StoreMember, quotas: Mapping[str, int]) -> list[tuple[str, str]]:
    found = []
    if not member.answers:
        text = f"member {member.name} silent for {member.silent_s:.0f} s"
        if member.trouble:
            text += f": {member.trouble}"
        return [(text, f"look at etcd on its machine: {member.endpoint}")]
    if NOSPACE in member.trouble:
        remedy = "etcdctl defrag on each member, then etcdctl alarm disarm"
        found.append((f"member {member.name} is full (NOSPACE): nothing can be written", remedy))
    elif member.trouble:
        found.append((f"member {member.name}: {member.trouble}", "etcdctl alarm list"))
    quota_bytes = quotas.get(member.endpoint, QUOTA_BYTES)
    if member.size_bytes > QUOTA_SHARE * quota_bytes:
        known = "its quota" if member.endpoint in quotas else "etcd's usual quota"
        text = (
            f"member {member.name} has {_mb(member.size_bytes)}, more than 80 % of {known} of "
            f"{_mb(quota_bytes)}"
        )
        found.append((text, "etcdctl defrag; if that does not help, raise --quota-backend-bytes"))
    unused = member.size_bytes - member.used_bytes
    if unused > FRAGMENTED_BYTES and unused > FRAGMENTED_SHARE * member.size_bytes:
        text = f"member {member.name}: {_mb(unused)} of its file of {_mb(member.size_bytes)} unused"
        found.append((text, f"etcdctl --endpoints={member.endpoint} defrag"))
    return found


def _of_certificates(expiries: Sequence[Expiry]) -> list[tuple[str, str]]:
    found = []
    for one in sorted(expiries, key=lambda each: each.days):
        if one.days < 0:
            found.append((f"{one.what} has expired", "put a new one in its place"))
        elif one.days < EXPIRES_DAYS:
            found.append((f"{one.what} expires in {one.days:.0f} d", "put a new one in its place"))
    return found


def _of_all(seen: Seen) -> list[tuple[str, str]]:
    found = []
    versions = sorted({".".join(one.version.split(".")[:2]) for one in seen.members if one.version})
    if len(versions) > 1:
        text = f"members of different versions: {', '.join(versions)}"
        found.append((text, "finish the upgrade of etcd"))
    for name in seen.unnamed:
        text = f"store.etcd.endpoints does not name member {name}"
        found.append((text, "name all members in master.yaml on both masters"))
    if seen.unguarded:
        text = "etcd asks nobody for a password"
        found.append((text, "etcdctl auth enable, once its users are made"))
    return found


def _mb(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.0f} MB"
