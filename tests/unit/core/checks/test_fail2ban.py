"""What fail2ban prints, well and not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hullmark.core.checks import JUDGES, Seen
from hullmark.host.probes.fail2ban import files_of, jails_of
from hullmark.model.checkkinds import KINDS
from hullmark.model.control import Finding, Reading, Status, Trouble
from tests.unit.core.checks.looks import (
    NOW,
    judged,
    looks_of,
    missing,
    process,
    program,
    reading,
)
from tests.unit.core.checks.looks import given as given_to

PING = reading("ping", "Server replied: pong\n", code=0, source="fail2ban-client ping")
STATUS = "Status\n|- Number of jail:\t{}\n`- Jail list:\t{}\n"
TWO = STATUS.format(2, "nginx-auth, sshd")
JAIL = """\
Status for the jail: {}
|- Filter
|  |- Currently failed:\t0
|  |- Total failed:\t3
|  `- {}
`- Actions
   |- Currently banned:\t0
   |- Total banned:\t0
   `- Banned IP list:\t
"""
NO_SERVER = (
    "2026-11-29 12:38:59,523 fail2ban                [23834]: ERROR   Failed to access socket path: "
    "/run/fail2ban/fail2ban.sock. Is fail2ban running?"
)
MATCHED = (
    "Results\n=======\n\nLines: 1 lines, 0 ignored, 1 matched, 0 missed\n[processed in 0.00 sec]\n"
)


def jail(name: str, watched: str, code: int = 0) -> Reading:
    return reading(f"jail {name}", JAIL.format(name, watched), code=code)


SSHD = jail("sshd", "Journal matches:\t_SYSTEMD_UNIT=sshd.service + _COMM=sshd")
NGINX = jail("nginx-auth", "File list:\t/var/log/nginx/error.log")
THERE = reading("file /var/log/nginx/error.log", source="/var/log/nginx/error.log", mtime=NOW)
GONE = reading(THERE.name, source=THERE.source, trouble=Trouble.MISSING)


def jails(*readings: Reading, ping: Reading = PING, status: str = TWO, **changed: Any) -> Finding:
    said = reading("status", status, code=0)
    return judged("fail2ban.jails", program(), ping, said, *readings, **changed)


def test_jails() -> None:
    found = jails(NGINX, SSHD, THERE)
    assert (found.status, found.level, found.reason) == (Status.PASS, 2, "jails: nginx-auth, sshd")
    assert jails(NGINX, SSHD, THERE, jails=("sshd",)).status is Status.PASS


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (jails(status=STATUS.format(0, "")), "fail2ban has no jail: it watches nothing"),
        (jails(NGINX, SSHD, THERE, jails=("recidive",)), "jail recidive is not active"),
        (
            jails(NGINX, jail("sshd", "File list:\t"), THERE),
            "jail sshd watches neither a file nor the journal",
        ),
        (
            jails(NGINX, SSHD, GONE),
            "jail nginx-auth watches /var/log/nginx/error.log, which is not there",
        ),
        (
            jails(ping=reading("ping", errors=NO_SERVER, code=255)),
            "ping: the server can't be reached",
        ),
        (
            jails(
                ping=reading(
                    "ping", errors="ERROR  Unable to contact server. Is it running?", code=255
                )
            ),
            "ping: the server can't be reached",
        ),
        (jails(ping=reading("ping", trouble=Trouble.TIMED_OUT)), "ping: no answer"),
        (
            jails(NGINX, reading("jail sshd", trouble=Trouble.TIMED_OUT), THERE),
            "jail sshd: no answer",
        ),
    ],
)
def test_jails_that_watch_nothing(found, reason) -> None:
    assert (found.status, found.reason) == (Status.FAIL, reason)


@pytest.mark.parametrize(
    "found",
    [
        jails(ping=reading("ping", "Server replied: what?", code=0)),
        jails(ping=reading("ping", errors="Traceback (most recent call last):", code=1)),
        jails(ping=missing("ping")),
        jails(status="Status\n"),
        jails(status=STATUS.format(3, "nginx-auth, sshd")),
        jails(NGINX),
        jails(NGINX, reading("jail sshd", "hello", code=0)),
        jails(NGINX, jail("sshd", "File list:\t/a", code=255)),
    ],
)
def test_what_nobody_knows(found) -> None:
    assert found.status is Status.ERROR


def match(text: str, status: str = TWO, code: int = 0, **more: object) -> Finding:
    said = reading("match", text, code=code, **more)  # type: ignore[arg-type]
    return judged("fail2ban.filter", program(), reading("status", status, code=0), said)


def test_a_filter() -> None:
    found = match(MATCHED)
    assert (found.status, found.level) == (Status.PASS, 2)
    missed = match(MATCHED.replace("1 matched, 0 missed", "0 matched, 1 missed"))
    assert (missed.status, "finds nothing" in missed.reason) == (Status.FAIL, True)
    assert match(MATCHED, status=STATUS.format(1, "nginx-auth")).status is Status.NOT_APPLICABLE


@pytest.mark.parametrize(
    "found",
    [
        match("ERROR: No failure-id group in 'sshd'", code=255),
        match(MATCHED, code=1),
        match("hello"),
        match("", trouble=Trouble.MISSING),
        match("", trouble=Trouble.TIMED_OUT),
        match(MATCHED, status="hello"),
        judged("fail2ban.filter", program(), reading("status", errors=NO_SERVER, code=255)),
    ],
)
def test_a_filter_that_can_not_be_tried(found) -> None:
    assert found.status is Status.ERROR


OURS = [kind for kind in KINDS if kind.startswith("fail2ban.")]


@pytest.mark.parametrize("kind", OURS)
def test_it_is_not_installed(kind) -> None:
    assert judged(kind, missing("program")).status is Status.NOT_APPLICABLE


def test_its_daemon() -> None:
    kind = "fail2ban.daemon"
    assert judged(kind, program(), reading("processes", process())) == Finding(Status.PASS, 1)
    for broken in ("", process("T"), process("Z")):
        assert judged(kind, program(), reading("processes", broken)).status is Status.FAIL
    assert judged(kind, program(), reading("processes", "x")).status is Status.ERROR


@pytest.mark.parametrize("kind", OURS)
@given(look=looks_of(("ping", "status", "jail sshd", "match", "processes")))
def test_nonsense_is_never_a_pass(kind, look) -> None:
    assert JUDGES[kind](Seen((program(), *look), given_to(kind), NOW, 2)).status is not Status.PASS


@given(st.text(max_size=200))
def test_names_in_nonsense(text) -> None:
    jails_of(text)
    files_of(text)


def test_names() -> None:
    assert jails_of(TWO) == ("nginx-auth", "sshd")
    assert jails_of(STATUS.format(2, "-h, a b, sshd")) == ("sshd",)
    assert files_of(NGINX.text) == ("/var/log/nginx/error.log",)
    assert files_of("File list:\t/var/log/a b.log /var/log/c") == ("/var/log/a b.log", "/var/log/c")
    assert files_of(SSHD.text) == ()
