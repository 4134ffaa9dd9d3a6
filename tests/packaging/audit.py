"""The audit daemon on the machine itself: the kernel has one stream of records for a machine and its boxes, so none can run in
a host of a bed.

    with Audit() as audit:
        assert not audit.why
        before = audit.state()
        ...
        assert audit.state() == before
        audit.hears()

A daemon that runs already is looked at, and neither configured nor ended.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Optional

from tests.cluster import wait_until
from tests.integration.namespaces import outside
from tests.integration.workspace import Workspace

SETTINGS = """\
log_file = {folder}/audit.log
log_format = RAW
flush = NONE
name_format = NONE
max_log_file_action = IGNORE
space_left = 2
space_left_action = IGNORE
admin_space_left = 1
admin_space_left_action = IGNORE
disk_full_action = IGNORE
disk_error_action = IGNORE
plugin_dir = {folder}/plugins.d
"""
# $1 is its folder, $2 what the kernel's switch was. When the tester ends, however it does, so does its side of the pipe;
# then all is as it was.
KEEPER = """
auditd -n -s enable -c "$1" &
auditd=$!
read -r _
auditctl -W "$1" -p wa -k hullmark-test >/dev/null 2>&1
kill "$auditd"
wait "$auditd"
auditctl -e "$2" >/dev/null
"""
VARYING = ("backlog", "backlog_wait_time_actual")


class Audit:
    """`why` says why there is none: empty where there is."""

    def __enter__(self) -> Audit:
        self.why = ""
        self._keeper: Optional[subprocess.Popen[bytes]] = None
        self._workspace: Optional[Workspace] = None
        self._lock = -1
        self._log = Path("/var/log/audit/audit.log")
        if shutil.which("auditctl") is None or shutil.which("auditd") is None:
            self.why = "auditd is not installed on this machine"
            return self
        # One test at a time; the keeper has it too, until all is as it was.
        self._lock = os.open("/etc/audit", os.O_RDONLY)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        done = self._control("-s")
        if done.returncode:
            self.why = f"this machine has no audit: {done.stderr.strip()}"
        elif self.state()["pid"] == "0":
            self._start()
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        if self._keeper is not None:
            self._keeper.communicate()
        if self._workspace is not None:
            self._workspace.remove()
        if self._lock >= 0:
            os.close(self._lock)

    def state(self) -> dict[str, str]:
        """Rules, switch, daemon, and how many records were lost."""
        status = dict(line.split(None, 1) for line in self._control("-s").stdout.splitlines())
        for varies in VARYING:
            status.pop(varies, None)
        return {**status, "rules": self._control("-l").stdout}

    def hears(self) -> None:
        """A record is written down: one that nobody else made. Raises AssertionError."""
        nonce = secrets.token_hex(8)
        self._control("-m", f"op=canary nonce={nonce}")
        wait_until(lambda: nonce in self._log.read_text(errors="replace"), "auditd writes", 10.0)

    def _start(self) -> None:
        was = self.state()["enabled"]
        self._workspace = Workspace.make("audit")
        folder = self._workspace.path
        (folder / "plugins.d").mkdir()
        (folder / "auditd.conf").write_text(SETTINGS.format(folder=folder))
        for path in (folder, folder / "auditd.conf"):
            path.chmod(0o700 if path == folder else 0o600)
        self._log = folder / "audit.log"
        self._keeper = subprocess.Popen(
            [*outside(), "sh", "-c", KEEPER, "sh", str(folder), was],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=[self._lock],
            cwd="/",
        )
        wait_until(lambda: self.state()["pid"] != "0", "auditd has started", 20.0)
        self._control("-w", str(folder), "-p", "wa", "-k", "hullmark-test")

    def _control(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*outside(), "auditctl", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={**os.environ, "LC_ALL": "C"},
        )
