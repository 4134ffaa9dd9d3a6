"""A page of the documentation, walked through on hosts of a bed: each block of commands on the machines that it names.

    page = Walkthrough(text, {"m1": m1, "m2": m2}, {"10.0.0.1": m1.address})
    page.walk("### etcd")

A block is pasted where its first line says: `# on m1 and m2`. Addresses in it are replaced by those of the bed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from tests.hosts import Host

BLOCK = re.compile(r"```sh\n# on ([^\n]*)\n(.*?)```", re.DOTALL)
TIMEOUT_S = 240.0


class Walkthrough:
    """`said` is what the blocks printed, each with what it ran."""

    def __init__(
        self, text: str, machines: Mapping[str, Host], replaced: Mapping[str, str]
    ) -> None:
        for old, new in replaced.items():
            assert old in text, f"the page names no {old}"
            assert re.escape(old) not in text, f"the page has {old} in a form that is not replaced"
            text = re.sub(rf"{re.escape(old)}(?![0-9])", new, text)
        self.text = text
        self.machines = machines
        self.said: list[str] = []

    def section(self, heading: str) -> str:
        """From its heading to the next of the same level or a higher one."""
        level = heading.partition(" ")[0]
        assert f"\n{heading}\n" in self.text, f"the page has no section {heading!r}"
        rest = self.text.partition(f"\n{heading}\n")[2]
        return re.split(rf"\n#{{2,{len(level)}}} ", rest)[0]

    def blocks(self, heading: str) -> list[tuple[list[str], str]]:
        """Of the section: on which machines, and what."""
        found = BLOCK.findall(self.section(heading))
        assert found, f"{heading} has no commands"
        return [(re.split(r",? and |, ", where), commands) for where, commands in found]

    def walk(self, heading: str) -> int:
        """Every block of the section, one after the other; gives how many there were. Raises CommandFailed."""
        blocks = self.blocks(heading)
        for names, commands in blocks:
            self.paste(names, commands)
        return len(blocks)

    def paste(self, names: list[str], commands: str) -> None:
        """On all of these machines at once, as from as many terminals."""
        with ThreadPoolExecutor(len(names)) as pool:
            running = [
                pool.submit(self.machines[name].run, _pasted(commands), timeout_s=TIMEOUT_S)
                for name in names
            ]
            for name, each in zip(names, running):
                done = each.result()
                self.said.append(f"{name}$ {commands}{done.stdout}{done.stderr}")


def _pasted(commands: str) -> str:
    """A shell that ends at the first failure, as a person would."""
    return f"set -e\ncd /root\n{commands}"


def admit(source: Host, *targets: Host) -> None:
    """Let root of one host into others by SSH, without a question."""
    source.run("mkdir -p -m 700 ~/.ssh; ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/id_ed25519")
    source.write("/root/.ssh/config", "StrictHostKeyChecking accept-new\nBatchMode yes\n", 0o600)
    key = source.read("/root/.ssh/id_ed25519.pub")
    for target in targets:
        target.run("mkdir -p -m 700 ~/.ssh; service ssh start")
        target.write("/root/.ssh/authorized_keys", key, 0o600)
