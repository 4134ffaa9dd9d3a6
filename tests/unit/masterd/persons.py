"""People on a master's Unix socket, each as the header says: a whole master in this process, and nobody's own user."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Optional

import aiohttp
import pytest
from aiohttp import web

from hullmark.masterd import identity
from hullmark.masterd.directory import Directory
from hullmark.masterd.identity import LOCAL, Caller
from hullmark.model.people import Role
from tests.unit.masterd.serving import Served

WHO = "X-Who"
UIDS = {"root": 0, "alice": 1001, "bob": 1002, "carol": 1003}


@dataclass(frozen=True)
class Person:
    """`user`: as whom, where that is another than the login's."""

    who: str
    role: Role = Role.ADMIN
    user: str = ""
    known: bool = True

    def header(self) -> str:
        return json.dumps([self.who, self.role.value, self.user or self.who, self.known])


ALICE, BOB, CAROL = Person("alice"), Person("bob"), Person("carol")
ALICE_BY_SUDO = Person("alice", user="root")
NOBODY_KNOWS = Person("root", known=False)


async def _named(request: web.BaseRequest, directory: Directory) -> Caller:
    said = request.headers.get(WHO, Person("root").header())
    who, role, user, known = json.loads(said)
    return Caller(
        who,
        LOCAL,
        Role(role),
        user=user,
        uid=UIDS[user],
        login_uid=UIDS[who],
        login_known=known,
    )


def everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on a master believes what the header says."""
    monkeypatch.setattr(identity, "local_person", _named)


async def says(
    served: Served, person: Person, method: str, path: str, body: Any = None
) -> tuple[int, Any]:
    connector = aiohttp.UnixConnector(path=str(served.socket))
    headers: Optional[dict[str, str]] = {WHO: person.header()}
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        return await served.ask(method, f"http://master{path}", body, session=session)
