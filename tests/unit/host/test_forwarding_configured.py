"""Which configurations of log daemons send logs away."""

from __future__ import annotations

from pathlib import Path

import pytest

from hullmark.host.eye import Eye
from hullmark.host.probes.forwarding import configured


@pytest.mark.parametrize(
    ("file", "text", "sends"),
    [
        ("rsyslog.conf", "*.* @@log1.example.net:514", True),
        ("rsyslog.conf", "auth,authpriv.*  @192.0.2.7", True),
        ("rsyslog.d/10-away.conf", 'action(type="omfwd" target="log1" port="514")', True),
        ("rsyslog.d/10-away.conf", '*.* action(\n  type = "omrelp"\n)', True),
        ("rsyslog.conf", "*.* :omrelp:log1:2514", True),
        ("rsyslog.conf", "#*.* @@log1", False),
        ("rsyslog.conf", "*.*;auth,authpriv.none  -/var/log/syslog", False),
        ("rsyslog.conf", '# action(type="omfwd")', False),
        ("syslog-ng/syslog-ng.conf", 'destination d { network("log1" port(514)); };', True),
        ("syslog-ng/syslog-ng.conf", 'destination d { file("/var/log/syslog"); };', False),
        ("syslog-ng/syslog-ng.conf", "source s { network(ip(0.0.0.0) port(514)); };", False),
        ("systemd/journal-upload.conf", "[Upload]\nURL=https://log1:19532", True),
        ("systemd/journal-upload.conf", "[Upload]\n# URL=", False),
    ],
)
def test_each_form(tmp_path: Path, file: str, text: str, sends: bool) -> None:
    path = tmp_path / "etc" / file
    path.parent.mkdir(parents=True)
    path.write_text(text + "\n")
    assert bool(configured(Eye(root=str(tmp_path))).text) is sends
