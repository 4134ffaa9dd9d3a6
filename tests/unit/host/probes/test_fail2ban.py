"""What is asked of fail2ban's server: a jail's name is never an option, and nothing is asked where it does not answer."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from dataclasses import replace
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hullmark.core.checks import JUDGES, Seen
from hullmark.host import fail2banserver
from hullmark.host.eye import Eye
from hullmark.host.probes import fail2ban
from hullmark.model.control import Reading, Status, Trouble
from tests.unit.host.probes.commands import Blinkered

SAYS: dict[tuple[str, ...], object] = {
    ("ping",): "pong",
    ("status",): [("Number of jail", 3), ("Jail list", "sshd, --help, web")],
    ("status", "sshd"): [
        ("Filter", [("Currently failed", 0), ("File list", ["/var/log/auth.log"])]),
        ("Actions", [("Banned IP list", [])]),
    ],
    ("status", "web"): [("Filter", [("Journal matches", ["_SYSTEMD_UNIT=web.service"])])],
}
REGEX = {"fail2ban-regex": "Lines: 1 lines, 0 ignored, 1 matched, 0 missed"}


class Server:
    """What it was asked, and where. It answers as fail2ban's does, with what `says` has; all else with an error."""

    def __init__(self, says: Mapping[tuple[str, ...], object]) -> None:
        self.says = says
        self.asked: list[tuple[str, ...]] = []
        self.sockets: set[object] = set()
        self.answer: bytes = b""

    def __call__(
        self, eye: Eye, name: str, source: str, address: object, question: bytes, **_: object
    ) -> tuple[Reading, bytes]:
        assert question.endswith(fail2banserver.END)
        words = tuple(pickle.loads(question[: -len(fail2banserver.END)]))
        self.asked.append(words)
        self.sockets.add(address)
        if not self.says and not self.answer:
            return Reading(name, source, errors="nobody", trouble=Trouble.MISSING), b""
        told = (0, self.says[words]) if words in self.says else (1, KeyError(words[-1]))
        return Reading(name, source), self.answer or pickle.dumps(told, 5)


@pytest.fixture
def server(monkeypatch) -> Server:
    one = Server(SAYS)
    monkeypatch.setattr(fail2banserver, "converse", one)
    return one


def test_jails(tmp_path, server) -> None:
    seen = fail2ban.see_jails(Blinkered(tmp_path), {})
    assert [one.name for one in seen] == [
        *("program", "ping", "status", "jail sshd", "jail web", "file /var/log/auth.log")
    ]
    assert ("status", "--help") not in server.asked
    assert server.sockets == {"/var/run/fail2ban/fail2ban.sock"}
    assert seen[3].text == (
        "Status for the jail: sshd\nCurrently failed:\t0\nFile list:\t/var/log/auth.log\nBanned IP list:\t"
    )
    given = {"jails": ()}
    there = replace(seen[-1], trouble=Trouble.NONE)
    found = JUDGES["fail2ban.jails"](Seen((*seen[:-1], there), given, 0.0, 2))
    assert (found.status, "3" in found.reason) == (Status.ERROR, False), "a name that is an option"


def test_where_it_listens(tmp_path, server) -> None:
    fail2ban.see_jails(Blinkered(tmp_path), {"socket": "/run/other.sock"})
    folder = tmp_path / "etc" / "fail2ban"
    folder.mkdir(parents=True)
    (folder / "fail2ban.conf").write_text("# socket = /no\n[DEFAULT]\nsocket = /run/said.sock\n")
    fail2ban.see_jails(Blinkered(tmp_path), {})
    (folder / "fail2ban.local").write_text("[Definition]\nsocket = /run/site.sock\n")
    fail2ban.see_jails(Blinkered(tmp_path), {})
    assert server.sockets == {"/run/other.sock", "/run/said.sock", "/run/site.sock"}


def test_a_silent_server_is_asked_once(tmp_path, server) -> None:
    server.says = {}
    seen = fail2ban.see_jails(Blinkered(tmp_path), {})
    assert server.asked == [("ping",)]
    found = JUDGES["fail2ban.jails"](Seen(seen, {}, 0.0, 2))
    assert (found.status, "can't be reached" in found.reason) == (Status.FAIL, True)


class Bad:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("called",)


@pytest.mark.parametrize(
    "answer",
    [
        *(b"", b"x", pickle.dumps(Bad()), pickle.dumps((0, Bad())), pickle.dumps(7)),
        *(pickle.dumps((1, ValueError("no"))), pickle.dumps(("ERROR",)), b"\x80\x05" + b"(" * 999),
    ],
)
def test_an_answer_that_is_none_calls_nothing(answer, tmp_path, server, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    server.answer = answer or b"."
    told = fail2banserver.ask(Blinkered(tmp_path), "ping", "/socket", "ping")
    assert told.code == fail2banserver.REFUSED
    assert not (tmp_path / "called").exists()


@given(st.binary(max_size=200))
def test_nonsense(answer) -> None:
    def says(eye: Eye, name: str, source: str, *_: object, **__: object) -> tuple[Reading, bytes]:
        return Reading(name, source), answer

    with mock.patch.object(fail2banserver, "converse", says):
        fail2banserver.ask(Eye(), "ping", "/socket", "ping")


def test_a_filter_is_tried_where_the_jail_is_active(tmp_path, server) -> None:
    eye = Blinkered(tmp_path, REGEX)
    line = "sshd[1]: Failed password for x from 192.0.2.1 port 2 ssh2"
    given = {"jail": "sshd", "filter": "sshd", "line": line}
    assert fail2ban.see_filter(eye, given)[-1].name == "match"
    assert line in eye.ran[-1]
    given["jail"] = "recidive"
    assert fail2ban.see_filter(eye, given)[-1].name == "status"


@pytest.mark.parametrize("kind", list(fail2ban.PROBES))
def test_it_is_not_installed(kind, tmp_path) -> None:
    eye = Blinkered(tmp_path, REGEX, absent=("fail2ban-server",))
    (program,) = fail2ban.PROBES[kind](eye, {})
    assert (program.trouble, eye.ran) == (Trouble.MISSING, [])
