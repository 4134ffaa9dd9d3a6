"""Everything that Hullmark and its containers have on this host now, each with why it is there."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from hullmark.footprint import containers, snapshot
from hullmark.footprint.announcements import (
    CONTAINERS,
    OWN,
    PACKAGES,
    PACKAGES_OF_OURS,
    Announcement,
)
from hullmark.footprint.comparison import BY_LINE
from hullmark.footprint.containers import Holdings
from hullmark.footprint.judgement import fitting, matching
from hullmark.footprint.snapshot import Files, Host, Process, Record, Unseen

OURS, THEIRS = "hullmark", "containers"
GROUPS = {
    OURS: "Hullmark's own",
    THEIRS: "its containers', made by the engine for them",
}
ALL_KINDS = (
    *("file", "process", "socket", "account", "unit", "timer", "package", "firewall"),
    *("network", "mount", "cgroup", "sysctl", "container"),
)
SECTIONS = ("account", "package", "unit", "socket", "network", "firewall", "sysctl", "mount")
_SERVICE = re.compile(r"hullmark-(agent|master|proxy)\.service")
_CRON = re.compile(r"/etc/cron\.|/etc/crontab|/var/spool/cron/|.*\.timer$")


@dataclass(frozen=True)
class Item:
    """`announced_by`: the package, or the line of the table of announcements."""

    group: str
    kind: str
    key: str
    announced_by: str
    reason: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Listing:
    items: list[Item] = field(default_factory=list)
    not_looked_at: list[tuple[str, str]] = field(default_factory=list)
    holdings: Optional[Holdings] = None

    @property
    def warnings(self) -> list[str]:
        holdings = self.holdings
        return [LIVE_RESTORE] if holdings is not None and holdings.live_restore is False else []


LIVE_RESTORE = (
    "an engine that is restarted or upgraded, such as by unattended-upgrades, stops all containers: set "
    '"live-restore": true in /etc/docker/daemon.json, then reload the engine'
)


def gather(ask: Callable[[], Holdings], root: str = "", exported: Iterable[str] = ()) -> Listing:
    """`ask` gives what the engine has, or raises Unseen. `exported`: files that the agent's configuration has it write elsewhere."""
    host = Host(root=root, connected=True)
    listing = Listing()
    try:
        listing.holdings = ask()
    except Unseen as why:
        listing.not_looked_at.append(("container", str(why)))
    traces = Traces(listing.holdings)
    try:
        traces.learn(host, snapshot.running(host).values())
    except Unseen as why:
        listing.not_looked_at.append(("process", str(why)))
    listing.not_looked_at += [("process", why) for why in host.notes]
    listing.items += _files(host, listing, exported)
    listing.items += traces.processes
    for record in snapshot.sections(host, SECTIONS):
        if record["kind"] == "look":
            listing.not_looked_at += [(record["key"], why) for why in record["why"]]
        else:
            listing.items += traces.of_record(record)
    listing.items += traces.of_engine()
    listing.items += _cgroups(host, traces)
    order = {kind: number for number, kind in enumerate(ALL_KINDS)}
    listing.items.sort(key=lambda one: (one.group != OURS, order[one.kind], one.key))
    return listing


PROGRAM = "/usr/share/hullmark"
LAUNCHER = f"{PROGRAM}/proxy"
NOBODYS = "in Hullmark's own folder, and of none of its packages"


def _files(host: Host, listing: Listing, exported: Iterable[str]) -> Iterator[Item]:
    try:
        own = snapshot.owners(host)
    except Unseen as why:
        own = {}
        listing.not_looked_at.append(("file", f"which package each belongs to: {why}"))
    walk = Files(host, own)
    seen = set()
    for record, announced_by, reason in (
        *_announced_files(host, walk),
        *_package_files(walk),
        *_program_files(walk),
        *_exported_files(walk, exported),
    ):
        if record["key"] not in seen:
            seen.add(record["key"])
            _note_unread(listing, record)
            kind = "timer" if _CRON.match(record["key"]) else "file"
            yield Item(OURS, kind, record["key"], announced_by, reason, _details(record))


Found = tuple[Record, str, str]
"""A file, what announces it, and why it is there."""


def _announced_files(host: Host, walk: Files) -> Iterator[Found]:
    for announcement in (*OWN, *PACKAGES):
        if announcement.kind == "file" and (
            announcement in OWN or announcement.name == "package-record"
        ):
            for record in _matching_files(host, walk, announcement):
                yield record, announcement.name, announcement.reason


def _package_files(walk: Files) -> Iterator[Found]:
    for path, package in walk.own.items():
        record = walk.record(path) if package in PACKAGES_OF_OURS else None
        if record is not None:
            yield record, f"package {package}", "the package's own file"


def _exported_files(walk: Files, exported: Iterable[str]) -> Iterator[Found]:
    for path in exported:
        record = walk.record(path)
        if record is not None:
            yield record, "services.export", "kept for a load balancer of the shop's own"


def _program_files(walk: Files) -> Iterator[Found]:
    """What else is where only packages put something."""
    for record in walk.walk(PROGRAM):
        package = record.get("package", "")
        if package in PACKAGES_OF_OURS:
            yield (
                record,
                f"package {package}",
                "Python's bytecode, made when the package was installed",
            )
        else:
            yield record, "nothing", NOBODYS


def _note_unread(listing: Listing, record: Record) -> None:
    if "unread" in record:
        listing.not_looked_at.append(("file", f"{record['key']}: {record['unread']}"))


def _matching_files(host: Host, walk: Files, announcement: Announcement) -> Iterator[Record]:
    for pattern in announcement.patterns:
        if pattern.endswith("/**"):
            yield from walk.walk(pattern[:-3])
            continue
        packages = PACKAGES_OF_OURS if "{package}" in pattern else ("",)
        for package in packages:
            wild = re.sub(r"\{[a-z]+\}", "*", pattern.replace("{package}", package))
            for path in sorted(Path(host.root or "/").glob(wild.lstrip("/"))):
                record = walk.record("/" + str(path)[len(host.root) :].lstrip("/"))
                if record is not None:
                    yield record


def _details(record: Record) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in ("kind", "key")}


@dataclass
class Traces:
    """By what the containers of our apps are known on the host. Without the engine's word all that an engine makes is
    taken for theirs."""

    holdings: Optional[Holdings]
    processes: list[Item] = field(default_factory=list)
    _ours: set[int] = field(default_factory=set)
    _theirs: dict[int, str] = field(default_factory=dict)
    _words: list[tuple[re.Pattern[str], str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for one in self.holdings.containers if self.holdings else ():
            for word in (one.container_id, *one.addresses):
                self._words.append((_word(word), one.name))
        for network in self.holdings.networks if self.holdings else ():
            for word in (network.bridge, *network.subnets):
                self._words.append((_word(word), f"network {network.name}"))

    def whose(self, text: str) -> str:
        """The container or network that a text names, empty for none of ours."""
        return next((name for word, name in self._words if word.search(text)), "")

    def learn(self, host: Host, running: Iterable[Process]) -> None:
        """Which processes are ours and which are our containers', or were started for them."""
        for one in running:
            command = _command(host, one.pid)
            details = {"pid": one.pid, "user": one.uid, "program": one.program, "unit": one.unit}
            if _SERVICE.fullmatch(one.unit) or is_daemon(one, command):
                self._ours.add(one.pid)
                item = Item(
                    OURS, "process", f"{one.name} ({one.pid})", "process", "a daemon", details
                )
                self.processes.append(item)
                continue
            inside = one.unit.startswith("container ")
            name = self.whose(one.unit if inside else command)
            if name and (inside or fitting(_ENGINE, f"x {one.program}", {})):
                self._theirs[one.pid] = name
                reason = (
                    f"runs in {name}"
                    if inside
                    else f"a program of the engine's, started for {name}"
                )
                by = "container-process" if inside else "engine-process"
                self.processes.append(
                    Item(THEIRS, "process", f"{one.name} ({one.pid})", by, reason, details)
                )

    def of_record(self, record: Record) -> Iterator[Item]:
        if record["kind"] == "socket":
            yield from self._socket(record)
            return
        if record["kind"] == "package":
            if record["key"].partition(":")[0] in PACKAGES_OF_OURS:
                yield Item(
                    OURS, "package", record["key"], "package", "installed here", _details(record)
                )
            return
        for key, details in _parts(record):
            yield from self._announced(record["kind"], key, details)

    def _announced(self, kind: str, key: str, details: Mapping[str, Any]) -> Iterator[Item]:
        for one in OWN:
            if one.kind == kind and matching(one, key) and fitting(one, key, details):
                yield Item(OURS, kind, key, one.name, one.reason, details)
                return
        said = f"{key} {details}"
        for one in CONTAINERS:
            if one.kind == kind and matching(one, key) and fitting(one, key, details):
                name = self.whose(said)
                if name or (self.holdings is None and _makes(one)):
                    reason = f"{one.reason} ({name or 'whose is not known'})"
                    yield Item(THEIRS, kind, key, one.name, reason, details)
                return

    def _socket(self, record: Record) -> Iterator[Item]:
        holders = [holder.partition(" ") for holder in record["holders"]]
        pids = {int(pid) for pid, _, _ in holders if pid.isdigit()}
        details = {"holders": record["holders"]}
        if pids & self._ours:
            listens = " -> " not in record["key"]
            reason = "a daemon listens here" if listens else "a daemon's connection"
            yield Item(
                OURS, "socket", record["key"], "listener" if listens else "process", reason, details
            )
        elif pids & set(self._theirs):
            name = next(self._theirs[pid] for pid in pids if pid in self._theirs)
            yield Item(
                THEIRS,
                "socket",
                record["key"],
                "published",
                f"the engine listens for {name}",
                details,
            )

    def of_engine(self) -> Iterator[Item]:
        """Containers, and the folders of theirs on the host."""
        for one in self.holdings.containers if self.holdings else ():
            ports = [f"{port}/{protocol}" for protocol, port in one.ports]
            details = {
                "id": one.container_id,
                "state": one.state,
                "addresses": list(one.addresses),
                "ports": ports,
            }
            yield Item(THEIRS, "container", one.name, "container", f"of app {one.app}", details)
            for path, why in one.folders:
                yield Item(THEIRS, "file", path, "engine-data", f"{why} ({one.name})")


_ENGINE = next(one for one in CONTAINERS if one.name == "engine-process")


def _makes(one: Announcement) -> bool:
    """Whether an engine makes such things for containers only."""
    return one.name in (
        *("bridge", "bridge-address", "bridge-route", "engine-mount", "engine-jump"),
        *("engine-forward", "engine-masquerade", "engine-shield"),
    )


def _word(text: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.:-]){re.escape(text)}(?![\w-]|\.\d)")


def is_daemon(one: Process, command: str) -> bool:
    """Where no service manager says so: by how daemons are started."""
    if snapshot.is_proxy(one.program, command):
        return True
    if one.name == "proxy" and f" {LAUNCHER} supervise" in command:
        return True
    python = re.match(r"python3?(\.\d+)?$", one.program.rpartition("/")[2]) is not None
    return python and (
        one.name in ("agentd", "masterd")
        or re.search(r" -m hullmark\.(agentd|masterd) run\b", command) is not None
    )


def _command(host: Host, pid: int) -> str:
    try:
        return host.read(f"/proc/{pid}/cmdline").replace("\0", " ")
    except Unseen:
        return ""


def _parts(record: Record) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """A record, or each of its lines; of settings of one interface, which the kernel makes with it, only their folder."""
    if record["kind"] in BY_LINE:
        for line in record["lines"]:
            yield record["key"], {"line": line}
    elif (
        record["kind"] != "sysctl"
        or record["key"].endswith("/forwarding")
        or not re.search("/(conf|neigh)/", record["key"])
    ):
        yield record["key"], _details(record)


def _cgroups(host: Host, traces: Traces) -> Iterator[Item]:
    top = f"{host.root}/sys/fs/cgroup"
    for folder, names, _ in os.walk(top):
        for name in sorted(names):
            path = f"{folder}/{name}"[len(host.root) :]
            if _SERVICE.fullmatch(name):
                yield Item(OURS, "cgroup", path, "unit", "the service's, made by systemd")
            else:
                found = re.search("[0-9a-f]{64}", name)
                whose = traces.whose(found.group()) if found else ""
                if whose:
                    yield Item(THEIRS, "cgroup", path, "container-process", f"limits of {whose}")


def of_this_host(socket_url: str, exported: Iterable[str] = ()) -> Listing:
    return gather(lambda: containers.ask(socket_url), exported=exported)
