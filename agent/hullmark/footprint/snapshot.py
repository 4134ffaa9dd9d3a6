"""A picture of a whole host: its files, accounts, packages, services, sockets, rules and settings at one time.

One file of the standard library alone, so that it also runs where nothing of Hullmark's is installed yet:

    python3 -IB snapshot.py --output before.json.gz

It changes nothing on the host and opens no network. The picture is lines of JSON: the head; records, each with `kind`
and `key`, in the order of `place`; and an end with their number, so that one that was cut off is known. What could not be
looked at stands in records of the kind `look`, or as `unread` with a file.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import fcntl
import gzip
import hashlib
import json
import os
import re
import shutil
import socket
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Callable, Optional, Union

SCHEMA = "hullmark.picture/2"
KINDS = (
    *("look", "account", "package", "unit", "process", "socket", "network", "firewall", "audit"),
    *("sysctl", "module", "mount", "skipped", "file"),
)
LARGEST = 256 * 1024 * 1024
"""Bytes above which a file is known by size and time only."""
COMMAND_S = 60
SEARCH = "/usr/sbin:/usr/bin:/sbin:/bin"
MEMORY = frozenset(
    {
        *("autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts"),
        *("devtmpfs", "efivarfs", "fusectl", "hugetlbfs", "mqueue", "nsfs", "proc", "pstore"),
        *("ramfs", "rpc_pipefs", "securityfs", "selinuxfs", "sysfs", "tmpfs", "tracefs"),
    }
)
ELSEWHERE = ("nfs", "cifs", "smb", "fuse", "9p", "ceph", "glusterfs", "afs")
ENTERED = tuple(
    f"/run/systemd/{name}" for name in ("generator", "system", "system.attached", "system.control")
)
"""In memory, and looked at all the same: services, and changes of services, until the next boot."""
ENGINE_ROOTS = ("/var/lib/docker", "/var/lib/containerd", "/var/lib/containers")
ACCOUNT_FILES = tuple(
    f"{name}{copy}"
    for name in ("group", "gshadow", "passwd", "shadow", "subgid", "subuid")
    for copy in ("", "-")
)
KERNEL_THREAD = 0x00200000
"""PF_KTHREAD in the flags of proc_pid_stat(5)."""
PROXY = "/run/hullmark-proxy/"
"""In the command line of Hullmark's own HAProxy, and of no other."""
UNIT_TYPES = "--type=service,socket,timer,path"

Record = dict[str, Any]


class Unseen(Exception):
    """Why something could not be looked at."""


def run(*command: str) -> str:
    """What a program of the system prints. Raises Unseen."""
    program = shutil.which(command[0], path=SEARCH)
    if program is None:
        raise Unseen(f"{command[0]} is not installed")
    try:
        done = subprocess.run(
            [program, *command[1:]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_S,
            env={"LC_ALL": "C", "PATH": SEARCH},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unseen(f"{' '.join(command)}: {error}") from error
    if done.returncode != 0:
        said = text(done.stderr).strip().splitlines() or ["no word of why"]
        raise Unseen(f"{' '.join(command)}: exit code {done.returncode}: {said[-1]}")
    return text(done.stdout)


def text(raw: bytes) -> str:
    """The same in every locale, and without loss."""
    return raw.decode("utf-8", "surrogateescape")


def place(record: Mapping[str, Any]) -> tuple[int, list[str]]:
    """Where a record stands in a picture: files as a walk meets them, each folder before what is in it."""
    return KINDS.index(record["kind"]), record["key"].split("/")


@dataclass
class Host:
    """`root` and `run` are what tests replace. `notes` has what was seen only in part, `by` what told it; `connected`: sockets
    that are not listening too; `left_out`: the draft that the picture itself is written to."""

    root: str = ""
    run: Callable[..., str] = run
    skip: tuple[str, ...] = ()
    connected: bool = False
    left_out: str = ""
    notes: list[str] = field(default_factory=list)
    by: list[str] = field(default_factory=list)

    def read(self, path: str) -> str:
        """Raises Unseen."""
        try:
            return text(Path(self.root + path).read_bytes())
        except OSError as error:
            raise Unseen(f"{path}: {error.strerror}") from error

    def names(self, path: str) -> list[str]:
        try:
            return sorted(os.listdir(self.root + path))
        except OSError:
            return []

    def link(self, path: str) -> str:
        """Empty where it can't be read."""
        try:
            return text(os.fsencode(os.readlink(self.root + path)))  # noqa: PTH115  (a Path would tidy it)
        except OSError:
            return ""


# -- accounts and packages


def accounts(host: Host) -> Iterator[Record]:
    """The lines of each file by the name that they begin with. Of shadow files only hashes of the lines."""
    for name in ACCOUNT_FILES:
        path = f"/etc/{name}"
        if not Path(host.root + path).exists():
            continue
        try:
            lines = host.read(path).splitlines()
        except Unseen as why:
            host.notes.append(str(why))
            continue
        found: dict[str, list[str]] = {}
        for line in lines:
            shown = sha256(line) if "shadow" in name else line
            found.setdefault(line.partition(":")[0], []).append(shown)
        for account, shown_lines in found.items():
            yield {"kind": "account", "key": f"{path}:{account}", "lines": shown_lines}


def sha256(line: str) -> str:
    return hashlib.sha256(line.encode("utf-8", "surrogateescape")).hexdigest()


def packages(host: Host) -> Iterator[Record]:
    """`needs`: names of packages that it depends on or recommends, all alternatives."""
    if not Path(host.root + "/var/lib/dpkg/status").exists():
        yield from rpms(host)
        return
    host.by.append("dpkg")
    for stanza in host.read("/var/lib/dpkg/status").split("\n\n"):
        fields = dict(re.findall(r"^([A-Z][A-Za-z-]+): ?(.*)$", stanza, re.M))
        if "Package" in fields:
            wanted = ", ".join(
                fields.get(each, "") for each in ("Pre-Depends", "Depends", "Recommends")
            )
            yield {
                "kind": "package",
                "key": f"{fields['Package']}:{fields.get('Architecture', '')}",
                "version": fields.get("Version", ""),
                "state": fields.get("Status", "").rpartition(" ")[2],
                "needs": sorted(
                    {one.split(":")[0] for one in re.findall(r"(?:^|[,|])\s*([^\s,|(]+)", wanted)}
                ),
            }


def rpms(host: Host) -> Iterator[Record]:
    host.by.append("rpm")
    form = r"%{NAME}\t%{ARCH}\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\n"
    givers: dict[str, set[str]] = {}
    for name, given in pairs(host.run("rpm", "-qa", "--qf", r"[%{=NAME}\t%{PROVIDENAME}\n]")):
        givers.setdefault(given, set()).add(name)
    needs: dict[str, set[str]] = {}
    for name, wanted in pairs(host.run("rpm", "-qa", "--qf", r"[%{=NAME}\t%{REQUIRENAME}\n]")):
        needs.setdefault(name, set()).update(givers.get(wanted, ()))
    for line in host.run("rpm", "-qa", "--qf", form).splitlines():
        name, architecture, version = line.split("\t")
        yield {
            "kind": "package",
            "key": f"{name}:{architecture}",
            "version": version,
            "state": "installed",
            "needs": sorted(needs.get(name, ())),
        }


def pairs(lines: str) -> Iterator[tuple[str, str]]:
    for line in lines.splitlines():
        first, _, second = line.partition("\t")
        yield first, second


def owners(host: Host) -> dict[str, str]:
    """Which package each file belongs to. Where folders moved to /usr, packages still name the old place."""
    listed: Iterator[tuple[str, str]]
    merged = [name for name in ("bin", "sbin", "lib", "lib32", "lib64") if host.link(f"/{name}")]
    found: dict[str, str] = {}
    if Path(host.root + "/var/lib/dpkg/info").is_dir():
        listed = (
            (name[:-5].partition(":")[0], path)
            for name in host.names("/var/lib/dpkg/info")
            if name.endswith(".list")
            for path in host.read(f"/var/lib/dpkg/info/{name}").splitlines()
        )
    else:
        listed = pairs(host.run("rpm", "-qa", "--qf", r"[%{=NAME}\t%{FILENAMES}\n]"))
    for package, path in listed:
        moved = path.split("/", 2)[1:2]
        found.setdefault(f"/usr{path}" if moved and moved[0] in merged else path, package)
    return found


# -- what runs


def units(host: Host) -> Iterator[Record]:
    if not Path(host.root + "/run/systemd/system").is_dir():
        host.by.append("init scripts")
        levels: dict[str, str] = {}
        for level in "0123456S":
            for name in host.names(f"/etc/rc{level}.d"):
                if re.match(r"S\d\d", name):
                    levels[name[3:]] = levels.get(name[3:], "") + level
        for name, found in levels.items():
            yield {"kind": "unit", "key": name, "runlevels": found}
        return
    host.by.append("systemd")
    plain = ("--no-legend", "--no-pager", "--plain", "--full", UNIT_TYPES)
    known: dict[str, Record] = {}
    for line in host.run("systemctl", "list-unit-files", *plain).splitlines():
        name, enabled = line.split()[:2]
        known[name] = {"kind": "unit", "key": name, "enabled": enabled}
    for line in host.run("systemctl", "list-units", "--all", *plain).splitlines():
        name, _, active, sub = line.split()[:4]
        # One that doesn't run is shown for as long as systemd happens to have it in memory.
        if active == "inactive":
            continue
        record = known.setdefault(name, {"kind": "unit", "key": name, "enabled": ""})
        record.update(active=active, sub=sub)
    yield from known.values()


@dataclass(frozen=True)
class Process:
    pid: int
    parent: int
    uid: int
    name: str
    program: str
    unit: str


def running(host: Host) -> dict[int, Process]:
    """Without threads of the kernel, those that have ended, this process, and what it was started from. Raises Unseen."""
    found = {}
    for name in host.names("/proc"):
        if name.isdigit():
            with contextlib.suppress(Unseen, OSError, IndexError, ValueError):
                head, _, rest = host.read(f"/proc/{name}/stat").rpartition(")")
                words = rest.split()
                if int(words[6]) & KERNEL_THREAD or words[0] in ("Z", "X"):
                    continue
                program = host.link(f"/proc/{name}/exe")
                group = host.read(f"/proc/{name}/cgroup")
                uid = Path(f"{host.root}/proc/{name}").stat().st_uid
                found[int(name)] = Process(
                    int(name),
                    int(words[1]),
                    uid,
                    head.partition("(")[2],
                    program[:-10] if program.endswith(" (deleted)") else program,
                    unit_of(group),
                )
    if not found:
        raise Unseen("/proc shows no process")
    nameless = sum(not one.program for one in found.values())
    if nameless and os.geteuid() != 0:
        host.notes.append(f"the programs of {nameless} of the processes: this takes root")
    own = os.getpid()
    while own > 1 and own in found:
        own = found.pop(own).parent
    return found


def unit_of(group: str) -> str:
    """From /proc/PID/cgroup: a container's id, `user.slice` for a login, else the service."""
    container = re.search(r"(?:docker|libpod|crio|cri-containerd)[-/]([0-9a-f]{64})", group)
    if container:
        return f"container {container.group(1)}"
    if "/user.slice/" in group:
        return "user.slice"
    named = re.search(r"([^/\n]+\.(?:service|scope|socket))(?:/|$)", group, re.M)
    return named.group(1) if named else ""


def processes(host: Host) -> Iterator[Record]:
    """One record for all that have the same user, name and program."""
    found: dict[str, set[str]] = {}
    for one in running(host).values():
        found.setdefault(f"{one.uid} {one.name} {one.program}", set()).add(one.unit)
    for key, named in found.items():
        yield {"kind": "process", "key": key, "units": sorted(named)}


def sockets(host: Host) -> Iterator[Record]:
    """Each with the programs that hold it. Of UDP ports that the kernel gave away only the holders."""
    holders = socket_holders(host)
    first = int((host.read("/proc/sys/net/ipv4/ip_local_port_range").split() or ["32768"])[0])
    found: dict[str, set[str]] = {}
    for name in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6"):
        with contextlib.suppress(Unseen):
            for line in host.read(f"/proc/net/{name}").splitlines()[1:]:
                words = line.split()
                protocol, listens = name.rstrip("6"), words[3] == "0A" or words[2].endswith(":0000")
                if not listens and (not host.connected or words[3] in ("06", "0C")):
                    continue
                address, port = endpoint(words[1])
                who = holders.get(words[9], "")
                given = protocol == "udp" and listens and port >= first
                key = f"{protocol} {address}:{'given by the kernel to ' + who if given else port}"
                if not listens:
                    far, far_port = endpoint(words[2])
                    key += f" -> {far}:{far_port}"
                found.setdefault(key, set()).add(who)
    with contextlib.suppress(Unseen):
        for line in host.read("/proc/net/unix").splitlines()[1:]:
            words = line.split(None, 7)
            if len(words) == 8 and int(words[3], 16) & 0x10000:  # __SO_ACCEPTCON: it listens
                found.setdefault(f"unix {words[7]}", set()).add(holders.get(words[6], ""))
    for key, programs in found.items():
        yield {"kind": "socket", "key": key, "holders": sorted(programs)}


def socket_holders(host: Host) -> dict[str, str]:
    """The program that holds each socket, by its inode; with `connected` after its process id. Of several the last."""
    found = {}
    unseen = 0
    for pid in host.names("/proc"):
        if pid.isdigit():
            folder = f"/proc/{pid}/fd"
            unseen += not os.access(host.root + folder, os.R_OK | os.X_OK)
            program = _held_by(host, pid)
            for number in host.names(folder):
                target = host.link(f"{folder}/{number}")
                if target.startswith("socket:["):
                    found[target[8:-1]] = f"{pid} {program}" if host.connected else program
    if unseen:
        host.notes.append(f"the sockets of {unseen} of the processes: this takes root")
    return found


def is_proxy(program: str, command: str) -> bool:
    """Hullmark's own HAProxy, and not one that the shop runs beside it."""
    return program == "/usr/sbin/haproxy" and PROXY in command


def _held_by(host: Host, pid: str) -> str:
    program = host.link(f"/proc/{pid}/exe")
    with contextlib.suppress(Unseen, OSError):
        if is_proxy(program, host.read(f"/proc/{pid}/cmdline")):
            return f"{program} of hullmark-proxy"
    return program


def endpoint(words: str) -> tuple[str, int]:
    """Of /proc/net/tcp and the like: words of 32 bits in the machine's byte order (proc(5))."""
    address, port = words.split(":")
    raw = b"".join(
        struct.pack("=I", int(address[at : at + 8], 16)) for at in range(0, len(address), 8)
    )
    family = socket.AF_INET if len(raw) == 4 else socket.AF_INET6
    shown = socket.inet_ntop(family, raw)
    return (shown if family == socket.AF_INET else f"[{shown}]"), int(port, 16)


# -- network, audit, kernel


def network(host: Host) -> Iterator[Record]:
    for one in json.loads(host.run("ip", "-j", "address", "show")):
        name = one["ifname"]
        yield {"kind": "network", "key": f"interface {name}", "master": one.get("master", "")}
        for given in one["addr_info"]:
            if "local" in given:
                key = f"address {given['local']}/{given['prefixlen']} dev {name}"
                yield {"kind": "network", "key": key}
    for family in ("-4", "-6"):
        for one in json.loads(host.run("ip", "-j", family, "route", "show", "table", "all")):
            words = [
                f"{word} {one[word]}"
                for word in ("via", "gateway", "dev", "table", "type")
                if word in one
            ]
            key = f"route {family} {one.get('dst', '')} {' '.join(words)}"
            yield {"kind": "network", "key": key}
        for one in json.loads(host.run("ip", "-j", family, "rule", "show")):
            yield {"kind": "network", "key": f"rule {family} {json.dumps(one, sort_keys=True)}"}


VARYING = (
    (re.compile(r"counter packets \d+ bytes \d+"), "counter"),
    (re.compile(r" (?:expires|used) [^\s,}]+(?: [kmg]?bytes)?"), ""),
)


def firewall(host: Host) -> Iterator[Record]:
    """Chains and sets with their lines in order, without what counts or runs out by itself."""
    if shutil.which("nft", path=SEARCH) is None and shutil.which("iptables-save", path=SEARCH):
        for name in ("iptables", "ip6tables"):
            yield from tables(host, name, host.run(f"{name}-save"))
        return
    ruleset = host.run("nft", "list", "ruleset")
    host.by.append("nft")
    for key, lines in chains(ruleset):
        yield {"kind": "firewall", "key": f"nft {key}", "lines": lines}
    for name, version in (("iptables", "ip"), ("ip6tables", "ip6")):
        # Asking for tables that nobody made would make them.
        with contextlib.suppress(Unseen):
            if host.read(f"/proc/net/{version}_tables_names").strip():
                try:
                    yield from tables(host, name, host.run(f"{name}-legacy-save"))
                except Unseen as why:
                    host.notes.append(str(why))


def chains(ruleset: str) -> Iterator[tuple[str, list[str]]]:
    path: list[str] = []
    found: dict[str, list[str]] = {}
    for full in ruleset.splitlines():
        line = full.strip()
        for pattern, instead in VARYING:
            line = pattern.sub(instead, line)
        if line.endswith("{") and "=" not in line:
            path.append(line[:-1].strip())
            found[" ".join(path)] = []
        elif line == "}":
            del path[-1:]
        elif path and line and not line.startswith("#"):
            found[" ".join(path)].append(line)
    yield from found.items()


def tables(host: Host, name: str, saved: str) -> Iterator[Record]:
    host.by.append(name)
    table = ""
    found: dict[str, list[str]] = {}
    for line in saved.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith((":", "-A ", "-N ")):
            chain = line.lstrip(":-AN ").split()[0]
            shown = re.sub(r"\s*\[\d+:\d+\]", "", line)
            found.setdefault(f"{name} {table} {chain}", []).append(shown)
    for key, lines in found.items():
        yield {"kind": "firewall", "key": key, "lines": lines}


def audit(host: Host) -> Iterator[Record]:
    status = dict(line.split(None, 1) for line in host.run("auditctl", "-s").splitlines())
    pid = status.pop("pid", "0").strip()
    daemon = "" if pid == "0" else host.link(f"/proc/{pid}/exe") or "a process that can't be seen"
    for varies in ("backlog", "backlog_wait_time_actual"):
        status.pop(varies, None)
    yield {"kind": "audit", "key": "daemon", "program": daemon}
    yield {"kind": "audit", "key": "rules", "lines": host.run("auditctl", "-l").splitlines()}
    for key, value in status.items():
        yield {"kind": "audit", "key": key, "value": value.strip()}


def settings(host: Host) -> Iterator[Record]:
    """/proc/sys, but for what only its writing has an effect, and for secrets. Raises Unseen."""
    if not host.names("/proc/sys"):
        raise Unseen("/proc/sys is not there")
    for folder, _, names in os.walk(f"{host.root}/proc/sys"):
        for name in names:
            path = Path(folder, name)
            if name == "stable_secret" or not path.stat().st_mode & 0o444:
                continue
            try:
                value = " ".join(text(path.read_bytes()).split())
            except OSError as error:
                value = f"unread: {error.strerror}"
            key = str(path)[len(f"{host.root}/proc/sys/") :]
            yield {"kind": "sysctl", "key": key, "value": value}


def modules(host: Host) -> Iterator[Record]:
    for line in host.read("/proc/modules").splitlines():
        yield {"kind": "module", "key": line.split()[0]}


def mounted(host: Host) -> Iterator[tuple[str, str, str]]:
    """(mount point, type, source and options) of each, the last on a point last."""
    for line in host.read("/proc/self/mountinfo").splitlines():
        words = line.split()
        after = words.index("-")
        point = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found.group(1), 8)), words[4])
        yield point, words[after + 1], f"{words[after + 2]} {words[5]}"


def mounts(host: Host) -> Iterator[Record]:
    found: dict[str, list[str]] = {}
    for point, kind, more in mounted(host):
        found.setdefault(point, []).append(f"{kind} {more}")
    for point, kinds in found.items():
        yield {"kind": "mount", "key": point, "lines": kinds}


def skipped(host: Host) -> Iterator[Record]:
    """Folders whose content is not looked at, with the reason."""
    found = dict.fromkeys(host.skip, "left out by --skip")
    found.update(dict.fromkeys(engine_roots(host), "the engine's own data"))
    for point, kind, _ in mounted(host):
        if kind in MEMORY:
            found[point] = f"in memory only: {kind}"
        elif kind.startswith(ELSEWHERE):
            found[point] = f"not this host's own: {kind}"
    for path, why in found.items():
        if not any(path != other and path.startswith(f"{other}/") for other in found):
            yield {"kind": "skipped", "key": path, "reason": why}


def engine_roots(host: Host) -> Iterator[str]:
    yield from ENGINE_ROOTS
    with contextlib.suppress(Unseen, ValueError, AttributeError):
        root = json.loads(host.read("/etc/docker/daemon.json")).get("data-root")
        if isinstance(root, str):
            yield root.rstrip("/")


# -- files


@dataclass
class Files:
    """The walk over all files. `own`: which package each belongs to; `leave`: folders that are not entered, but for what of
    `enter` is in them."""

    host: Host
    own: Mapping[str, str] = field(default_factory=dict)
    leave: frozenset[str] = frozenset()
    enter: tuple[str, ...] = ()

    def walk(self, start: str = "/") -> Iterator[Record]:
        """In the order of `place`."""
        ahead = [start]
        while ahead:
            path = ahead.pop()
            record = None if path == self.host.left_out else self.record(path)
            if record is None:
                continue
            if path in self.leave:
                ahead += reversed([one for one in self.enter if one.startswith(f"{path}/")])
            elif record.get("type") == "folder":
                names, why = self._names(path)
                ahead += [f"{path.rstrip('/')}/{name}" for name in reversed(names)]
                if why:
                    record["unread"] = why
            yield record

    def record(self, path: str) -> Optional[Record]:
        """None where there is nothing of that name (any more)."""
        raw = self._raw(path)
        try:
            status = os.lstat(raw)
        except FileNotFoundError:
            return None
        except OSError as error:
            return {"kind": "file", "key": path, "unread": str(error.strerror)}
        record: Record = {
            "kind": "file",
            "key": path,
            "type": _TYPES.get(stat.S_IFMT(status.st_mode), "other"),
            "mode": f"{stat.S_IMODE(status.st_mode):04o}",
            "owner": f"{status.st_uid}:{status.st_gid}",
        }
        package = self.own.get(source_of(path))
        if package:
            record["package"] = package
        if record["type"] in ("file", "folder"):
            record.update(_access(raw))
        if record["type"] == "file":
            record["size"] = status.st_size
            record.update(_content(raw, status))
        elif record["type"] == "link":
            record["target"] = text(os.readlink(raw))  # noqa: PTH115  (a Path would tidy it)
        elif record["type"] == "device":
            record["device"] = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
        return record

    def _raw(self, path: str) -> bytes:
        return (self.host.root + path).encode("utf-8", "surrogateescape")

    def _names(self, path: str) -> tuple[list[str], str]:
        """Names in order, and why they could not be read."""
        try:
            number = _open(self._raw(path), os.O_DIRECTORY)
        except OSError as error:
            return [], str(error.strerror)
        try:
            return sorted(text(os.fsencode(name)) for name in os.listdir(number)), ""
        except OSError as error:
            return [], str(error.strerror)
        finally:
            os.close(number)


_TYPES = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "folder",
    stat.S_IFLNK: "link",
    stat.S_IFIFO: "pipe",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}


def source_of(path: str) -> str:
    """Of Python's bytecode the file that it was made from, of the folder that it is in the one of that file, else the path."""
    found = re.fullmatch(r"(.*)/__pycache__(?:/([^/.]+)\.[a-z]+-\d+(?:\.opt-\d)?\.pyc)?", path)
    if not found:
        return path
    return f"{found.group(1)}/{found.group(2)}.py" if found.group(2) else found.group(1)


def _open(raw: bytes, flags: int = 0) -> int:
    """Without a trace where that is allowed, and without waiting for the other end of a pipe."""
    flags |= os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        return os.open(raw, flags | os.O_NOATIME)
    except PermissionError:
        return os.open(raw, flags)


LISTS = (("acl", "system.posix_acl_access"), ("default_acl", "system.posix_acl_default"))
ATTRIBUTES = ((0x10, "i"), (0x20, "a"))
GET_ATTRIBUTES = 2 << 30 | struct.calcsize("l") << 16 | ord("f") << 8 | 1
"""FS_IOC_GETFLAGS, see ioctl_iflags(2)."""


def _access(raw: bytes) -> Record:
    """Access lists beyond the mode, and what chattr(1) set: `i` nobody may change it, `a` only append."""
    found: Record = {}
    for name, attribute in LISTS:
        with contextlib.suppress(OSError):
            found[name] = os.getxattr(raw, attribute, follow_symlinks=False).hex()
    with contextlib.suppress(OSError):
        number = _open(raw)
        try:
            asked = fcntl.ioctl(number, GET_ATTRIBUTES, bytes(struct.calcsize("l")))
        finally:
            os.close(number)
        flags = struct.unpack("=I", asked[:4])[0]
        attributes = "".join(letter for bit, letter in ATTRIBUTES if flags & bit)
        if attributes:
            found["attributes"] = attributes
    return found


def _content(raw: bytes, status: os.stat_result) -> Record:
    """The hash; of a file that changed while it was read twice, `changing` too."""
    found: Record = {}
    if status.st_size > LARGEST:
        return {"mtime_ns": status.st_mtime_ns, "unread": "above 256 MiB: size and time only"}
    try:
        with contextlib.suppress(OSError):
            found["capability"] = os.getxattr(
                raw, "security.capability", follow_symlinks=False
            ).hex()
        for _ in range(2):
            number = _open(raw)
            try:
                before = os.fstat(number)
                if not stat.S_ISREG(before.st_mode):
                    return {"unread": "it became another kind of file while it was looked at"}
                found["sha256"] = _hash(number, before.st_size)
                after = os.fstat(number)
            finally:
                os.close(number)
            if (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns):
                return found
    except OSError as error:
        return {"unread": str(error.strerror)}
    return {**found, "changing": True}


def _hash(number: int, size: int) -> str:
    found = hashlib.sha256()
    left = size
    while left > 0:
        piece = os.read(number, min(left, 1 << 20))
        if not piece:
            break
        found.update(piece)
        left -= len(piece)
    return found.hexdigest()


# -- the picture

SECTIONS: Mapping[str, Callable[[Host], Iterator[Record]]] = {
    "account": accounts,
    "package": packages,
    "unit": units,
    "process": processes,
    "socket": sockets,
    "network": network,
    "firewall": firewall,
    "audit": audit,
    "sysctl": settings,
    "module": modules,
    "mount": mounts,
    "skipped": skipped,
}


def sections(host: Host, wanted: Iterable[str] = tuple(SECTIONS)) -> Iterator[Record]:
    """All but the files, in order. What was looked at, and what not, comes first."""
    looks: list[Record] = []
    found: list[Record] = []
    for kind in wanted:
        host.notes, host.by = [], []
        records: list[Record] = []
        try:
            records = list(SECTIONS[kind](host))
            seen = True
        except (Unseen, OSError, ValueError, KeyError, IndexError) as error:
            seen = False
            host.notes.append(str(error))
        looks.append(
            {"kind": "look", "key": kind, "seen": seen, "by": host.by, "why": sorted(host.notes)}
        )
        found += {record["key"]: record for record in records}.values() if seen else ()
    yield from sorted(looks + found, key=place)


def picture(host: Host, files: str) -> Iterator[Record]:
    """Head, records and end. `files`: where the picture itself is written to, empty where nobody knows."""
    yield {
        "schema": SCHEMA,
        "host": socket.gethostname(),
        "taken_at": round(time.time()),
        "as_root": os.geteuid() == 0,
        "file": files,
    }
    number = 0
    leave = []
    enter = ENTERED if "/run" not in host.skip else ()
    for record in sections(host):
        if record["kind"] == "skipped":
            leave.append(record["key"])
        number += 1
        yield record
    try:
        own = owners(host)
    except Unseen:
        own = {}
    for record in Files(host, own, frozenset(leave), enter).walk():
        number += 1
        yield record
    yield {"end": number}


def write(records: Iterable[Record], out: Union[BinaryIO, gzip.GzipFile]) -> int:
    """How many lines."""
    number = 0
    for record in records:
        out.write(json.dumps(record, separators=(",", ":")).encode("ascii") + b"\n")
        number += 1
    return number


def record(
    file: Path, host: Host, seen: Callable[[int], None] = lambda number: None
) -> tuple[int, list[Record]]:
    """Writes the picture to FILE, which is there whole or not at all, of mode 0600. How many records it has, and those of
    the kind `look`. `seen` is told how many there are so far. Raises OSError, also where FILE exists: a picture from before can't be taken again."""
    file = file.absolute()
    if file.exists():
        raise FileExistsError(errno.EEXIST, "it exists, and can't be taken again", str(file))
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    number = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    looks: list[Record] = []

    def told() -> Iterator[Record]:
        host.left_out = str(draft)
        for so_far, one in enumerate(picture(host, str(file))):
            seen(so_far)
            if one.get("kind") == "look":
                looks.append(one)
            yield one

    try:
        with os.fdopen(number, "wb") as out:
            if file.suffix == ".gz":
                with gzip.GzipFile("", "wb", 6, out, mtime=0) as packed:
                    lines = write(told(), packed)
            else:
                lines = write(told(), out)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(file)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return lines - 2, looks


def main() -> int:
    parser = argparse.ArgumentParser(description="Take a picture of this host, to compare with.")
    parser.add_argument("--output", default="-", metavar="FILE", help="FILE.gz is packed")
    parser.add_argument("--skip", action="append", default=[], metavar="FOLDER")
    asked = parser.parse_args()
    host = Host(skip=tuple(asked.skip))
    try:
        if asked.output == "-":
            write(picture(host, host.link("/proc/self/fd/1")), sys.stdout.buffer)
        else:
            record(Path(asked.output), host)
    except OSError as error:
        sys.stderr.write(f"the picture can't be taken: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
