"""Intrusion prevention: fail2ban."""

from __future__ import annotations

from collections.abc import Mapping

from hullmark.model.checkkinds.form import Form, Kind, Parameter
from hullmark.model.control import RUNNING, SELF_REPORT

_SOCKET = Parameter(
    Form.PATH, "the server's socket, where fail2ban's own configuration does not say it"
)

KINDS: Mapping[str, Kind] = {
    "fail2ban.daemon": Kind(
        "fail2ban-server runs, and is not stopped",
        RUNNING,
        interval_s=10,
        timeout_s=5,
        not_exercised="that it has a jail, or bans anybody",
    ),
    "fail2ban.jails": Kind(
        "the server answers, has jails, and each of them watches a file that is there, or the journal",
        SELF_REPORT,
        interval_s=60,
        timeout_s=30,
        parameters={
            "jails": Parameter(Form.TEXTS, "jails that have to be there; empty: any one", ()),
            "socket": _SOCKET,
        },
        not_exercised="a ban, and that the packet filter keeps it: nobody is banned for a test",
    ),
    "fail2ban.filter": Kind(
        "a jail's filter finds the address in a line that a failed login writes; nothing is written, and nobody is banned",
        SELF_REPORT,
        interval_s=3600,
        timeout_s=30,
        parameters={
            "jail": Parameter(
                Form.TEXT, "the jail; where it isn't active, this does not apply", "sshd"
            ),
            "filter": Parameter(
                Form.TEXT, "its filter, as filter.d has it, or the path of one", "sshd"
            ),
            "line": Parameter(
                Form.TEXT,
                "what follows date and host in such a line, with an address of 192.0.2.0/24, which is nobody's",
                "sshd[4242]: Failed password for invalid user hullmark-canary from 192.0.2.1 port 40000 ssh2",
            ),
            "socket": _SOCKET,
        },
        not_exercised="the filter as the server has loaded it, where its file was changed since; a ban",
    ),
}
