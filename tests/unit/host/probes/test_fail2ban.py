"""What is asked of fail2ban's server: a jail's name is never an option, and nothing is asked where it does not answer."""

from __future__ import annotations

import pytest

from hullmark.host.probes import fail2ban
from hullmark.model.control import Trouble
from tests.unit.host.probes.commands import Blinkered

STATUS = "Status\n|- Number of jail:\t3\n`- Jail list:\tsshd, --help, web\n"
SAYS = {
    "fail2ban-client ping": "Server replied: pong",
    "fail2ban-client status sshd": "Status for the jail: sshd\n`- File list:\t/var/log/auth.log",
    "fail2ban-client status web": "Status for the jail: web\n`- File list:\t/var/log/auth.log",
    "fail2ban-client status": STATUS,
    "fail2ban-regex": "Lines: 1 lines, 0 ignored, 1 matched, 0 missed",
}


def test_jails(tmp_path) -> None:
    eye = Blinkered(tmp_path, SAYS)
    seen = fail2ban.see_jails(eye, {})
    assert [one.name for one in seen] == [
        *("program", "ping", "status", "jail sshd", "jail web", "file /var/log/auth.log")
    ]
    assert not any("--help" in line for line in eye.ran)


def test_another_socket(tmp_path) -> None:
    eye = Blinkered(tmp_path, {"fail2ban-client": ""})
    fail2ban.see_jails(eye, {"socket": "/run/other.sock"})
    assert eye.ran[0] == "fail2ban-client -s /run/other.sock ping"


def test_a_silent_server_is_asked_once(tmp_path) -> None:
    eye = Blinkered(tmp_path)
    fail2ban.see_jails(eye, {})
    assert eye.ran == ["fail2ban-client ping"]


def test_a_filter_is_tried_where_the_jail_is_active(tmp_path) -> None:
    eye = Blinkered(tmp_path, SAYS)
    line = "sshd[1]: Failed password for x from 192.0.2.1 port 2 ssh2"
    given = {"jail": "sshd", "filter": "sshd", "line": line}
    assert fail2ban.see_filter(eye, given)[-1].name == "match"
    assert line in eye.ran[-1]
    given["jail"] = "recidive"
    assert fail2ban.see_filter(eye, given)[-1].name == "status"


@pytest.mark.parametrize("kind", list(fail2ban.PROBES))
def test_it_is_not_installed(kind, tmp_path) -> None:
    eye = Blinkered(tmp_path, SAYS, absent=("fail2ban-server",))
    (program,) = fail2ban.PROBES[kind](eye, {})
    assert (program.trouble, eye.ran) == (Trouble.MISSING, [])
