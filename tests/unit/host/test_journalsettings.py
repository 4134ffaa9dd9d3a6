"""What journald was told, with the files that systemd lets win."""

from __future__ import annotations

from pathlib import Path

from hullmark.host.eye import Eye
from hullmark.host.journalsettings import read


def settings(root: Path, files: dict[str, str]) -> list[str]:
    for path, text in files.items():
        whole = root / path.lstrip("/")
        whole.parent.mkdir(parents=True, exist_ok=True)
        whole.write_text(text)
    return read(Eye(root=str(root)), "settings").text.splitlines()


def test_nothing_is_said(tmp_path: Path) -> None:
    assert settings(tmp_path, {}) == []
    text = "[Journal]\n#Storage=auto\n;Compress=yes\n"
    assert settings(tmp_path, {"/etc/systemd/journald.conf": text}) == []


def test_later_files_win(tmp_path: Path) -> None:
    found = settings(
        tmp_path,
        {
            "/usr/lib/systemd/journald.conf": "[Journal]\nStorage=none\n",
            "/etc/systemd/journald.conf": "[Journal]\nStorage = volatile\nCompress=no\n",
            "/usr/lib/systemd/journald.conf.d/syslog.conf": "[Journal]\nForwardToSyslog=yes\n",
            "/etc/systemd/journald.conf.d/syslog.conf": "[Journal]\nForwardToSyslog=no\n",
            "/etc/systemd/journald.conf.d/50-x.conf": "[Journal]\nStorage=persistent\n",
        },
    )
    assert found == ["Storage=persistent", "Compress=no", "ForwardToSyslog=no"]
