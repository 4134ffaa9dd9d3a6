"""What logrotate was told, from configurations as distributions ship them; and the files that it leaves."""

from __future__ import annotations

from pathlib import Path

from hullmark.host import logrotate, rotated
from hullmark.host.eye import Eye
from hullmark.model.control import Trouble

MAIN = """# see "man logrotate" for details
weekly
rotate 4
create
#dateext
include /etc/logrotate.d
/var/log/late.log { monthly }
"""
RSYSLOG = """/var/log/syslog
/var/log/mail.log
/var/log/auth.log
{
	rotate 13
	weekly
	missingok
	compress
	sharedscripts
	postrotate
		rotate 99
		/usr/lib/rsyslog/rsyslog-rotate } {
	endscript
}
"""
OTHERS = """"/var/log/a b.log" /var/log/app/*.log {
    size=10M
    rotate 2
    maxage 30
}
/var/log/fast.log { hourly
  rotate -1
}
/var/log/big.log {
  daily
  maxsize 100k
  rotate 7
}
"""


def put(root: Path, path: str, text: str) -> None:
    whole = root / path.lstrip("/")
    whole.parent.mkdir(parents=True, exist_ok=True)
    whole.write_text(text)


def told(root: Path) -> dict[str, tuple[str, ...]]:
    found = logrotate.told(Eye(root=str(root)), "logrotate", "/etc/logrotate.conf")
    rows = [line.split("\t") for line in found.text.splitlines()]
    return {row[0]: tuple(row[1:]) for row in rows}


def test_what_it_was_told(tmp_path: Path) -> None:
    put(tmp_path, "/etc/logrotate.conf", MAIN)
    put(tmp_path, "/etc/logrotate.d/rsyslog", RSYSLOG)
    put(tmp_path, "/etc/logrotate.d/others", OTHERS)
    put(tmp_path, "/etc/logrotate.d/old~", "/var/log/old { rotate 1 }")
    rsyslog, others = "/etc/logrotate.d/rsyslog", "/etc/logrotate.d/others"
    assert told(tmp_path) == {
        "/var/log/syslog": ("13", "7", "0", "", rsyslog),
        "/var/log/mail.log": ("13", "7", "0", "", rsyslog),
        "/var/log/auth.log": ("13", "7", "0", "", rsyslog),
        "/var/log/a b.log": ("2", "7", "30", "10M", others),
        "/var/log/app/*.log": ("2", "7", "30", "10M", others),
        "/var/log/fast.log": ("-1", "0", "0", "", others),
        "/var/log/big.log": ("7", "1", "0", "100k", others),
        "/var/log/late.log": ("4", "30", "0", "", "/etc/logrotate.conf"),
    }


def test_a_file_that_can_not_be_read_to_its_end(tmp_path: Path) -> None:
    put(tmp_path, "/etc/logrotate.conf", '/var/log/"x {\n rotate 3\n}\n}\n{ postrotate\n')
    assert told(tmp_path) == {}


def test_it_is_not_installed(tmp_path: Path) -> None:
    found = logrotate.told(Eye(root=str(tmp_path)), "logrotate", "/etc/logrotate.conf")
    assert found.trouble is Trouble.MISSING


def rows(root: Path, *patterns: str, elsewhere: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    found = rotated.listed(Eye(root=str(root)), "files", patterns, elsewhere)
    lines = [line.split("\t") for line in found.text.splitlines()]
    assert all(len(line) == 5 for line in lines)
    return [(line[0], line[1]) for line in lines]


def test_a_log_and_what_it_was_rotated_to(tmp_path: Path) -> None:
    names = ("syslog", "syslog.1", "syslog.2.gz", "syslog-20261129", "syslogng", "other")
    for name in names:
        put(tmp_path, f"/var/log/{name}", name)
    log = "/var/log/syslog"
    assert rows(tmp_path, log) == [
        (log, log),
        (log, f"{log}.1"),
        (log, f"{log}.2.gz"),
        (log, f"{log}-20261129"),
    ]


def test_our_own_log_and_its_closed_files(tmp_path: Path) -> None:
    log = "/var/log/hullmark/audit.log"
    closed = "/var/log/hullmark/audit-000000000001.log"
    put(tmp_path, log, "x")
    put(tmp_path, closed, "x")
    assert rows(tmp_path, log) == [(log, log), (log, closed)]


def test_a_log_that_is_not_there(tmp_path: Path) -> None:
    put(tmp_path, "/var/log/syslog.1", "x")
    assert rows(tmp_path, "/var/log/syslog") == [("/var/log/syslog", "/var/log/syslog.1")]
    assert rows(tmp_path, "/var/log/sys*g") == []


def test_rotated_elsewhere(tmp_path: Path) -> None:
    put(tmp_path, "/var/log/syslog", "x")
    put(tmp_path, "/var/log/old/syslog.1", "x")
    (tmp_path / "var/log/syslog.d").mkdir()
    found = rows(tmp_path, "/var/log/sys*", elsewhere=("/var/log/old/*",))
    assert found == [
        ("/var/log/syslog", "/var/log/syslog"),
        ("/var/log/syslog", "/var/log/old/syslog.1"),
        ("/var/log/syslog.d", "/var/log/old/syslog.1"),
    ]
