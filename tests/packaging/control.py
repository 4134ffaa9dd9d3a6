"""A machine that runs Ansible: the role as it lies in packaging/ansible, on hosts of a bed, over SSH.

    with Control() as control:
        control.admit(host)
        control.write("hosts.yml", INVENTORY)
        run = control.play("site.yml", "--check")
        assert run.changed == {"web1": 0}

Within a bed, whose hosts it reaches. Its keys, caches and connections are gone with it.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Optional

from tests.hosts import Host
from tests.integration.workspace import Workspace

PLAYBOOKS = Path(__file__).parents[2] / "packaging" / "ansible"
RECAP = re.compile(
    r"^(\S+) +: ok=\d+ +changed=(\d+) +unreachable=(\d+) +failed=(\d+) ", re.MULTILINE
)
TIMEOUT_S = 500


@dataclass(frozen=True)
class Run:
    """`changed` and `failed`: how many tasks, by host; an unreachable host has failed."""

    code: int
    output: str

    @property
    def changed(self) -> dict[str, int]:
        return {name: int(changed) for name, changed, _, _ in RECAP.findall(self.output)}

    @property
    def failed(self) -> dict[str, int]:
        return {
            name: int(lost) + int(failed) for name, _, lost, failed in RECAP.findall(self.output)
        }

    def succeeded(self) -> Run:
        assert self.code == 0, f"ansible-playbook ended with {self.code}:\n{self.output}"
        return self


class Control:
    def __enter__(self) -> Control:
        self._workspace = Workspace.make("ansible")
        self.folder = self._workspace.path
        self.folder.chmod(0o700)
        self.said: list[str] = []
        """What every run printed."""
        self._key = self.folder / "key"
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self._key)], check=True
        )
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self._workspace.remove()

    def admit(self, host: Host) -> None:
        """Let root in on the host with our key, and know the host by its own."""
        host.run(["mkdir", "-p", "-m", "0700", "/root/.ssh"])
        host.write("/root/.ssh/authorized_keys", self._key.with_suffix(".pub").read_text(), 0o600)
        host.run(["service", "ssh", "start"])
        kind, key = host.read("/etc/ssh/ssh_host_ed25519_key.pub").split()[:2]
        with (self.folder / "known_hosts").open("a") as known:
            known.write(f"{host.address} {kind} {key}\n")

    def write(self, name: str, text: str) -> Path:
        file = self.folder / name
        file.write_text(text)
        return file

    def play(self, playbook: str, *options: str, inventory: str = "hosts.yml") -> Run:
        command = ["ansible-playbook", "-i", inventory, *options, str(PLAYBOOKS / playbook)]
        done = self.run(command)
        return Run(done.returncode, done.stdout)

    def run(self, command: list[str], text: str = "") -> subprocess.CompletedProcess[str]:
        """A command of Ansible's, in our folder. Both outputs are one, as on a terminal."""
        done = subprocess.run(
            command,
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.folder,
            env=self._environment(),
            timeout=TIMEOUT_S,
        )
        self.said.append(done.stdout)
        return done

    def _environment(self) -> dict[str, str]:
        # Connections stay for the next task, and end with the workspace.
        ssh = ("ControlMaster=auto", "ControlPersist=60s", "StrictHostKeyChecking=yes")
        files = (f"UserKnownHostsFile={self.folder}/known_hosts", f"IdentityFile={self._key}")
        words = [f"-o {option}" for option in (*ssh, *files, "IdentitiesOnly=yes")]
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.folder),
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_CONFIG": str(PLAYBOOKS / "ansible.cfg"),
            "ANSIBLE_HOME": str(self.folder / "ansible"),
            "ANSIBLE_LOCAL_TEMP": str(self.folder / "tmp"),
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.folder / "cp"),
            "ANSIBLE_SSH_ARGS": " ".join(words),
            "ANSIBLE_REMOTE_USER": "root",
            "ANSIBLE_NOCOLOR": "1",
            **self._workspace.marker,
            **{name: value for name, value in os.environ.items() if name == "TZ"},
        }
