"""Which files a syslog daemon writes, from configurations as distributions ship them."""

from __future__ import annotations

from pathlib import Path

from hullmark.host.eye import Eye
from hullmark.host.syslogfiles import written
from hullmark.model.control import Trouble

DEBIAN = """module(load="imuxsock") # provides support for local system logging
$WorkDirectory /var/spool/rsyslog
$IncludeConfig /etc/rsyslog.d/*.conf
*.*;auth,authpriv.none\t\t-/var/log/syslog
auth,authpriv.*\t\t\t/var/log/auth.log
# cron.*  /var/log/remark.log
& stop
*.emerg\t\t\t\t:omusrmsg:*
local7.* ?PerHost
local6.* /dev/console
"""
RHEL = """global(workDirectory="/var/lib/rsyslog")
module(load="builtin:omfile" Template="RSYSLOG_TraditionalFileFormat")
include(file="/etc/rsyslog.d/*.conf" mode="optional")
*.info;mail.none;authpriv.none;cron.none                /var/log/messages
authpriv.*                                              /var/log/secure
mail.*                                                  -/var/log/maillog
"""
ADDED = """if $programname == 'x' then {
  action(type="omfile" name="x"
         file="/var/log/x.log" fileOwner="root")
  action(type="omfile" dynaFile="PerHost")
  action(type="omfwd" target="logs.example" port="6514")
}
"""
SYSLOG_NG = """@version: 3.38
@include "scl.conf"
source s_src { system(); internal(); file("/proc/kmsg"); };
destination d_auth { file("/var/log/auth.log"); };
destination d_two { file('/var/log/two.log' owner("root")); file("/var/log/$HOST.log"); };
# destination d_old { file("/var/log/old.log"); };
destination d_console { file("/dev/tty10"); };
log { source(s_src); destination(d_auth); };
@include "/etc/syslog-ng/conf.d/"
"""


def put(root: Path, path: str, text: str) -> None:
    whole = root / path.lstrip("/")
    whole.parent.mkdir(parents=True, exist_ok=True)
    whole.write_text(text)


def files(root: Path, daemon: str, path: str = "") -> list[str]:
    return written(Eye(root=str(root)), "files", daemon, path).text.splitlines()


def test_debian(tmp_path: Path) -> None:
    put(tmp_path, "/etc/rsyslog.conf", DEBIAN)
    put(tmp_path, "/etc/rsyslog.d/20-x.conf", ADDED)
    assert files(tmp_path, "rsyslog") == ["/var/log/syslog", "/var/log/auth.log", "/var/log/x.log"]


def test_rhel(tmp_path: Path) -> None:
    put(tmp_path, "/etc/rsyslog.conf", RHEL)
    put(tmp_path, "/etc/rsyslog.d/x.conf", ADDED)
    names = ["messages", "secure", "maillog", "x.log"]
    assert files(tmp_path, "rsyslog") == [f"/var/log/{name}" for name in names]


def test_syslog_ng(tmp_path: Path) -> None:
    put(tmp_path, "/etc/syslog-ng/syslog-ng.conf", SYSLOG_NG)
    put(tmp_path, "/etc/syslog-ng/scl.conf", '@include "scl/*/*.conf"\n')
    put(tmp_path, "/etc/syslog-ng/conf.d/x.conf", 'destination d_x {file("/var/log/x.log");};')
    names = ["auth.log", "two.log", "x.log"]
    assert files(tmp_path, "syslog-ng") == [f"/var/log/{name}" for name in names]


def test_another_place(tmp_path: Path) -> None:
    put(tmp_path, "/srv/r.conf", "*.* /srv/log\n$IncludeConfig /srv/r.conf\n")
    assert files(tmp_path, "rsyslog", "/srv/r.conf") == ["/srv/log"]


def test_none(tmp_path: Path) -> None:
    assert written(Eye(root=str(tmp_path)), "files", "rsyslog", "").trouble is Trouble.MISSING
