"""The directory: who a user id of this machine is, and which role the configuration gives to that user.

Users and groups may come from the network (LDAP, by sssd and the like), which can be slow or away. So the
system is asked in threads, for a short time, and what it said is believed for a while. Root and the
master's own user need no answer: they can always put things right.
"""

from __future__ import annotations

import asyncio
import grp
import os
import pwd
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Callable, Optional, TypeVar

from hullmark.config import MasterConfig
from hullmark.errors import Unavailable
from hullmark.model.evidence import RoleView
from hullmark.model.people import Role

ANSWER_S = 5.0
KEPT_S = 30.0
"""Also how long a role lasts for somebody who was taken out of its group."""
KEPT_MOST = 1024
THREADS = 4

T = TypeVar("T")


@dataclass(frozen=True)
class Rules:
    """Roles by the names of users and of groups, as master.yaml has them."""

    users: Mapping[str, Role]
    groups: Mapping[str, Role]

    @classmethod
    def of(cls, config: MasterConfig) -> Rules:
        users: dict[str, Role] = {}
        groups: dict[str, Role] = {}
        for role in Role:  # from the least on, so that the highest stays
            users.update(dict.fromkeys(getattr(config, f"roles_{role.value}_users"), role))
            groups.update(dict.fromkeys(getattr(config, f"roles_{role.value}_groups"), role))
        return cls(users, groups)

    @property
    def views(self) -> tuple[RoleView, ...]:
        kinds = (("user", self.users), ("group", self.groups))
        return tuple(
            RoleView(kind, name, role.value)
            for kind, of in kinds
            for name, role in sorted(of.items())
        )

    @property
    def empty(self) -> bool:
        return not self.users and not self.groups

    def unknown(self) -> Iterator[str]:
        """What of it this system does not know now. Blocks."""
        for name in self.users:
            if _user(name) is None:
                yield f"user {name}"
        for name in self.groups:
            if _group_id(name) is None:
                yield f"group {name}"

    def role(self, name: str, group_id: int) -> Optional[Role]:
        """The highest one that the user has by name or by a group. Blocks."""
        found = {self.users.get(name)}
        if self.groups:
            # What the system says of the user, and not the groups of the calling process: those may be borrowed.
            of_user = set(os.getgrouplist(name, group_id))
            found |= {role for group, role in self.groups.items() if _group_id(group) in of_user}
        return next((role for role in reversed(list(Role)) if role in found), None)


@dataclass(frozen=True)
class Person:
    """`role` None: may do nothing. `known` False: the system has no such user."""

    name: str
    role: Optional[Role]
    known: bool = True


class Directory:
    """Used from one event loop. `clock` is monotonic."""

    def __init__(self, rules: Rules, clock: Callable[[], float]) -> None:
        self._rules = rules
        self._clock = clock
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="directory")
        self._kept: dict[int, tuple[float, Person]] = {}
        self._always = {0, os.geteuid()}

    async def person(self, uid: int) -> Person:
        """Raises Unavailable where the system does not answer, which for root and the master's own user is no matter."""
        at, kept = self._kept.get(uid, (0.0, None))
        if kept is not None and self._clock() - at < KEPT_S:
            return kept
        try:
            found = await self._ask(lambda: self._look_up(uid))
        except asyncio.TimeoutError as error:
            if uid in self._always:
                return Person("root" if uid == 0 else f"uid {uid}", Role.ADMIN)
            raise Unavailable(
                f"the system did not say within {ANSWER_S:.0f} s who user {uid} is",
                remedy="see its directory service (sssd, LDAP), or use sudo",
            ) from error
        self._kept.pop(uid, None)
        if len(self._kept) >= KEPT_MOST:
            del self._kept[next(iter(self._kept))]  # the oldest: the newest are put at the end
        self._kept[uid] = (self._clock(), found)
        return found

    async def name(self, uid: int) -> str:
        """For records: a number where the system does not answer."""
        try:
            return (await self.person(uid)).name
        except Unavailable:
            return f"uid {uid}"

    async def unknown(self) -> list[str]:
        """Users and groups of the configuration that the system does not know."""
        try:
            return await self._ask(lambda: list(self._rules.unknown()))
        except asyncio.TimeoutError:
            return []

    def close(self) -> None:
        self._pool.shutdown(wait=False)

    def _look_up(self, uid: int) -> Person:
        try:
            entry = pwd.getpwuid(uid)
        except (KeyError, OSError, OverflowError):
            name = "root" if uid == 0 else f"uid {uid}"
            return Person(name, Role.ADMIN if uid in self._always else None, known=uid == 0)
        if uid in self._always:
            return Person(entry.pw_name, Role.ADMIN)
        return Person(entry.pw_name, self._rules.role(entry.pw_name, entry.pw_gid))

    async def _ask(self, question: Callable[[], T]) -> T:
        """Raises TimeoutError. A thread that is stuck in the system stays so; there are a few of them."""
        answer = asyncio.get_running_loop().run_in_executor(self._pool, question)
        return await asyncio.wait_for(answer, ANSWER_S)


def _user(name: str) -> Optional[pwd.struct_passwd]:
    try:
        return pwd.getpwnam(name)
    except (KeyError, OSError):
        return None


def _group_id(name: str) -> Optional[int]:
    try:
        return grp.getgrnam(name).gr_gid
    except (KeyError, OSError):
        return None
