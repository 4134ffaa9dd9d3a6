"""The examples for AIDE and auditd, read by AIDE itself and by the library that auditctl reads its rules with.

No rule is loaded: they would be the whole machine's. That auditd records what they say is untried.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import itertools
import re
import shlex
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "conf" / "examples"
AIDE_RULES = EXAMPLES / "31_aide_hullmark"
AUDIT_RULES = EXAMPLES / "hullmark.rules"

CONFIGURATION = """\
database_in=file:{folder}/database
database_out=file:{folder}/database
root_prefix={root}
@@include {rules}
/ 0 p+u+g+ftype+sha256
"""
AGENT = "var/lib/hullmark/agent"
MASTER = "var/lib/hullmark/master"
PROXY = "var/lib/hullmark-proxy"
FILES = {
    "etc/hullmark/agent.yaml": 0o644,
    "usr/bin/hullmark": 0o755,
    "usr/share/hullmark/hullmark/__init__.py": 0o644,
    f"{AGENT}/enrolment.json": 0o600,
    f"{AGENT}/host.key": 0o600,
    f"{AGENT}/host.pem": 0o644,
    f"{AGENT}/state-a.json": 0o600,
    f"{AGENT}/state-b.json": 0o600,
    f"{AGENT}/held.json": 0o600,
    f"{AGENT}/configs/0a-644-0-0": 0o644,
    f"{PROXY}/haproxy.cfg": 0o600,
    f"{PROXY}/proxy.pem": 0o600,
    f"{MASTER}/store.sqlite": 0o600,
    f"{MASTER}/store.sqlite.lock": 0o600,
    f"{MASTER}/pki/root.pem": 0o644,
    "var/log/hullmark/agent.log": 0o640,
    "var/log/hullmark/audit.log": 0o640,
    "var/log/hullmark/audit.reserve": 0o640,
    "var/log/hullmark/audit-000000000001.log": 0o640,
    "var/log/hullmark/audit-000000000500.log": 0o640,
    "var/log/hullmark/master/audit.log": 0o640,
    "var/lib/other/file": 0o644,
    "run/other.pid": 0o644,
}


class Host:
    """A folder that AIDE takes for a host's root."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self._configuration = folder / "aide.conf"
        self._configuration.write_text(
            CONFIGURATION.format(folder=folder, root=self.root, rules=AIDE_RULES)
        )
        for name, mode in FILES.items():
            self.write(name, mode)
        self.aide("--config-check")
        self.aide("--init")

    def write(self, name: str, mode: int = 0o600, text: str = "at first") -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def aide(self, command: str) -> int:
        """The exit code below 8: what differs (1 new, 2 gone, 4 changed). More is an error of AIDE's."""
        done = subprocess.run(
            ["aide", "--config", str(self._configuration), command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )
        assert done.returncode < 8, done.stdout
        self.report = done.stdout
        return done.returncode


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_aide_is_silent_about_a_day_of_work(host: Host) -> None:
    for name in ("state-a.json", "state-b.json", "held.json", "attempts.json", "heard.json"):
        host.write(f"{AGENT}/{name}", text="orders of today")
    host.write(f"{AGENT}/.state-a.json.new")
    host.write(f"{AGENT}/configs/1b-600-0-0")
    host.write(f"{AGENT}/configs/.2c-600-0-0.new")
    (host.root / AGENT / "configs" / "0a-644-0-0").unlink()
    host.write(f"{AGENT}/directory.json")
    host.write(f"{AGENT}/hosts/shop.web.1.g1", 0o644)
    host.write(f"{PROXY}/haproxy.cfg", text="another service")
    host.write(f"{PROXY}/.haproxy.cfg.candidate")
    host.write(f"{PROXY}/callers.acl")
    host.write("var/log/hullmark-proxy.log", 0o640)
    host.write("run/hullmark-proxy/pid", 0o644)
    host.write(f"{MASTER}/store.sqlite", text="another revision")
    host.write(f"{MASTER}/store.sqlite-wal")
    host.write(f"{MASTER}/store.sqlite-shm")
    host.write("var/log/hullmark/agent.log.1", 0o640)
    host.write("var/log/hullmark/audit.log", 0o640, "more records")
    host.write("var/log/hullmark/audit-000000000900.log", 0o640)
    (host.root / "var/log/hullmark/audit-000000000001.log").unlink()
    host.write(f"{AGENT}/audit.last")
    host.write("var/log/hullmark/agent.log.2.gz", 0o640)
    host.write("run/hullmark-agent.pid", 0o644)
    assert host.aide("--check") == 0, host.report


CHANGES: Mapping[str, Callable[[Host], None]] = {
    f"/{AGENT}/state-a.json": lambda host: (host.root / AGENT / "state-a.json").chmod(0o644),
    f"/{AGENT}": lambda host: (host.root / AGENT).chmod(0o777),
    f"/{AGENT}/host.key": lambda host: host.write(f"{AGENT}/host.key", text="another key"),
    f"/{AGENT}/intruder": lambda host: host.write(f"{AGENT}/intruder"),
    f"/{AGENT}/configs/0a-644-0-0": lambda host: host.write(
        f"{AGENT}/configs/0a-644-0-0", 0o644, "changed in its place"
    ),
    f"/{PROXY}/proxy.pem": lambda host: host.write(f"{PROXY}/proxy.pem", text="another key"),
    f"/{PROXY}/haproxy.cfg": lambda host: (host.root / PROXY / "haproxy.cfg").chmod(0o644),
    f"/{MASTER}/pki/root.pem": lambda host: (host.root / MASTER / "pki/root.pem").unlink(),
    "/etc/hullmark/agent.yaml": lambda host: host.write(
        "etc/hullmark/agent.yaml", 0o644, "masters: [https://elsewhere:7441]"
    ),
    "/usr/share/hullmark/hullmark/__init__.py": lambda host: host.write(
        "usr/share/hullmark/hullmark/__init__.py", 0o644, "import os"
    ),
    "/var/log/hullmark/audit.log": lambda host: (host.root / "var/log/hullmark/audit.log").unlink(),
    "/var/log/hullmark/audit-000000000500.log": lambda host: host.write(
        "var/log/hullmark/audit-000000000500.log", 0o640, "changed in its place"
    ),
    "/var/lib/other/file": lambda host: host.write("var/lib/other/file", 0o644, "changed"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_aide_still_sees(name: str, host: Host) -> None:
    assert host.aide("--check") == 0, host.report
    CHANGES[name](host)
    assert host.aide("--check") != 0
    assert re.search(rf": {re.escape(name)}$", host.report, re.MULTILINE), host.report


def test_the_page_shows_them_as_they_are() -> None:
    page = (EXAMPLES.parents[1] / "docs" / "operations" / "security-tools.md").read_text()
    for file in (AIDE_RULES, AUDIT_RULES):
        introduction, _, rest = file.read_text().partition("\n\n")
        assert introduction.startswith("#")
        body = rest if file == AIDE_RULES else rest[rest.index("## Who changed") :]
        assert body in page


AUDIT_FILTER_EXIT = 4


def field_code(pair: str) -> int:
    """0 where libaudit, which auditctl reads rules with, takes this field."""
    name = ctypes.util.find_library("audit")
    assert name is not None, "libaudit.so.1 is missing: apt-get install libaudit1"
    library = ctypes.CDLL(name)
    library.audit_rule_create_data.restype = ctypes.c_void_p
    rule = ctypes.c_void_p(library.audit_rule_create_data())
    code = library.audit_rule_fieldpair_data(
        ctypes.byref(rule), pair.encode(), ctypes.c_int(AUDIT_FILTER_EXIT)
    )
    assert isinstance(code, int)
    return code


def rules() -> list[str]:
    lines = AUDIT_RULES.read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("line", rules())
def test_audit_rules_are_read(line: str) -> None:
    words = shlex.split(line)
    pairs = list(itertools.zip_longest(words[::2], words[1::2]))
    assert pairs[0] == ("-a", "always,exit")
    assert all(switch == "-F" for switch, _ in pairs[1:])
    fields = [field for _, field in pairs[1:]]
    assert fields[0] == "arch=b64"
    for field in fields:
        if not field.startswith("key="):  # more of it: given with the last field only
            assert field_code(field) == 0, field
    assert re.fullmatch(r"key=hullmark-[a-z]{1,20}", fields[-1])
    path = next(field.partition("=")[2] for field in fields if field[:4] in ("dir=", "path"))
    assert re.fullmatch(r"(/[a-z]+)+", path)


def test_a_rule_with_a_fault_is_seen() -> None:
    assert field_code("perm=wa") == 0
    for faulty in ("perm=z", "auid!=nobody-of-this-name", "dri=/etc", "arch=z80"):
        assert field_code(faulty) != 0, faulty
