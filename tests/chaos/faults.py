"""What can be done to a pair, each with its healing and with a proof that it took effect.

A fault is begun, lasts, and is healed; `prove` then says what showed that it was there, and nothing where nothing did. Which
machine or process it hits is drawn by the round's seed, by its part (the leader, the standby, a member) and not by its name.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from tests.chaos.pair import API_PORT, Links, Master, Pair
from tests.cluster import Cluster, Daemon, wait_until
from tests.fleet import Host
from tests.integration import process
from tests.integration.etcd import EtcdMember

FOUND_S = 3.0
"""How long a fault looks for whoever leads, before it takes any."""


class Doing(ABC):
    """`target` is drawn at once, so that the record has it. `lasts_s`: the least and the most seconds until it is healed."""

    name: ClassVar[str]
    lasts_s: ClassVar[tuple[float, float]] = (2.0, 6.0)
    unheard: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    control = False
    leaderless: ClassVar[bool] = False
    target = ""

    def __init__(self, pair: Pair, chance: random.Random) -> None:
        self.pair = pair
        self.chance = chance
        self.proof = ""

    @abstractmethod
    def begin(self) -> None: ...

    @abstractmethod
    def heal(self) -> None:
        """Also where `begin` failed half-way."""


def leader_of(pair: Pair) -> Master:
    """Whoever leads; while an earlier fault of the round leaves nobody to, the first of the pair."""
    with contextlib.suppress(AssertionError):
        return pair.leader(FOUND_S)
    return next(iter(pair.masters.values()))


def stopped(pid: int) -> bool:
    """Whether a process is frozen (proc(5): state T)."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    return False


class OfMasters(Doing):
    """Hits the leader, the standby, or both."""

    def pick(self, parts: tuple[str, ...] = ("leader", "leader", "standby")) -> list[Master]:
        part = self.chance.choice(parts)
        leader = leader_of(self.pair)
        standby = next(one for one in self.pair.masters.values() if one is not leader)
        found = {"leader": [leader], "standby": [standby], "both": [leader, standby]}[part]
        self.target = f"{part} {' '.join(one.name for one in found)}"
        return found


class KillMaster(OfMasters):
    name = "kill -9 of a master"

    def begin(self) -> None:
        (self.hit,) = self.pick()
        pid = self.hit.pid
        self.hit.kill()
        self.proof = f"process {pid} ended" if not self.hit.running else ""

    def heal(self) -> None:
        if not self.hit.running:
            self.hit.start()


class FreezeMaster(OfMasters):
    name = "SIGSTOP of a master"

    def begin(self) -> None:
        (self.hit,) = self.pick()
        self.hit.pause()
        time.sleep(0.05)
        self.proof = f"process {self.hit.pid} is in state T" if stopped(self.hit.pid) else ""

    def heal(self) -> None:
        self.hit.resume()


class RestartMasters(OfMasters):
    """Both at once, one with SIGKILL."""

    name = "masters restarted together"
    lasts_s = (0.5, 3.0)
    leaderless = True

    def begin(self) -> None:
        self.target = "m1 m2"
        pids = [one.pid for one in self.pair.masters.values()]
        for one in self.pair.masters.values():
            one.kill()
        gone = not any(one.running for one in self.pair.masters.values())
        self.proof = f"processes {pids} ended" if gone else ""

    def heal(self) -> None:
        for one in self.pair.masters.values():
            if not one.running:
                one.start()
        wait_until(self._one_listens, "a master listens again")

    def _one_listens(self) -> bool:
        """What a process takes to start is the machine's."""
        for one in self.pair.masters.values():
            with contextlib.suppress(OSError):
                socket.create_connection((one.network.address, API_PORT), 0.2).close()
                return True
        return False


class OfMembers(Doing):
    def pick(self) -> EtcdMember:
        members = self.pair.etcd.members
        leads = members[0]
        with contextlib.suppress(AssertionError):
            leads = self.pair.etcd.leader(FOUND_S)
        found = self.chance.choice([leads, *members])
        self.target = f"{found.name}{' (leads)' if found is leads else ''}"
        return found


class KillMember(OfMembers):
    name = "kill -9 of a member of etcd"

    def begin(self) -> None:
        self.hit = self.pick()
        pid = self.hit.pid
        self.hit.kill()
        self.proof = f"process {pid} ended" if not self.hit.running else ""

    def heal(self) -> None:
        if not self.hit.running:
            self.hit.start()


class FreezeMember(OfMembers):
    name = "SIGSTOP of a member of etcd"

    def begin(self) -> None:
        self.hit = self.pick()
        self.hit.pause()
        time.sleep(0.05)
        self.proof = f"process {self.hit.pid} is in state T" if stopped(self.hit.pid) else ""

    def heal(self) -> None:
        self.hit.resume()


class FillMember(OfMembers):
    name = "disk full of a member of etcd"
    lasts_s = (3.0, 8.0)

    def begin(self) -> None:
        self.hit = self.pick()
        self.fill = self.hit.data.parent / "fill"
        subprocess.run(
            ["dd", "if=/dev/zero", f"of={self.fill}", "bs=1M"], stderr=subprocess.DEVNULL
        )
        where = os.statvfs(self.fill.parent)
        self.proof = "0 bytes are free" if where.f_bfree == 0 else ""

    def heal(self) -> None:
        self.fill.unlink(missing_ok=True)
        if not self.hit.running:
            self.proof += "; the member ended"
            self.hit.start()


class LoseQuorum(Doing):
    """Two of three members: nothing can be changed, and no master leads."""

    name = "two members of etcd killed"
    lasts_s = (2.0, 5.0)
    leaderless = True

    def begin(self) -> None:
        self.hits = self.chance.sample(self.pair.etcd.members, 2)
        self.target = " ".join(one.name for one in self.hits)
        for one in self.hits:
            one.kill()
        if not any(one.running for one in self.hits):
            self.proof = "both processes ended"

    def heal(self) -> None:
        for one in self.hits:
            if not one.running:
                one.start()


class OfLinks(Doing):
    """Cuts on which packets were dropped: that is the proof."""

    loss = 1.0

    def __init__(self, pair: Pair, chance: random.Random) -> None:
        super().__init__(pair, chance)
        hosts = {host.name: host.network for host in pair.hosts.values()}
        self.links = Links({**pair.machines, **hosts})

    def begin(self) -> None:
        self.cut(leader_of(self.pair).name)

    @abstractmethod
    def cut(self, leader: str) -> None: ...

    def heal(self) -> None:
        dropped = self.links.dropped()
        self.links.heal()
        self.proof = f"{dropped} packets were dropped" if dropped else ""

    def other(self, leader: str) -> str:
        return "m2" if leader == "m1" else "m1"


class CutLeader(OfLinks):
    """Its whole machine, with its member of etcd, from all others."""

    name = "the leader's machine cut off"

    def cut(self, leader: str) -> None:
        self.target = leader
        self.links.isolate(leader)


class CutFromStore(OfLinks):
    """The leader from the two members elsewhere: its own member has no quorum then. Agents still hear it."""

    name = "the leader cut off from etcd"

    def cut(self, leader: str) -> None:
        self.target = leader
        self.links.isolate(leader, [self.other(leader), "w1"])


class CutFromAgents(OfLinks):
    """The leader from all hosts, not from the store: it hears nobody and steps down."""

    name = "the leader cut off from agents"

    def cut(self, leader: str) -> None:
        self.target = leader
        self.links.isolate(leader, list(self.pair.hosts))


class CutPair(OfLinks):
    name = "the masters' machines cut off from each other"

    def cut(self, leader: str) -> None:
        self.target = "m1 m2"
        self.links.cut_both("m1", "m2")


class CutOneWay(OfLinks):
    """One direction of one link between the machines of the control side."""

    name = "one direction of a link cut"

    def cut(self, leader: str) -> None:
        source, target = self.chance.sample(sorted(self.pair.machines), 2)
        self.target = f"{source} to {target}"
        self.links.cut(source, target)


class LosePackets(OfLinks):
    """A fifth of all packets from and to the leader's machine."""

    name = "packets lost"

    def cut(self, leader: str) -> None:
        self.target = f"20 % at {leader}"
        for other in [*self.pair.machines, *self.pair.hosts]:
            if other != leader:
                self.links.cut_both(leader, other, loss=0.2)


class SlowLink(OfMasters):
    """What the machine sends waits in a queue: 96 kbit a second, half a second at most."""

    name = "delay"

    def begin(self) -> None:
        (self.hit,) = self.pick()
        self._tc("add", "tbf", "rate", "96kbit", "burst", "1600", "latency", "500ms")

    def heal(self) -> None:
        shown = ["tc", "-s", "qdisc", "show", "dev", "eth0"]
        command = [*self.hit.network.inside, *shown]
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        waited = int(said.partition("overlimits ")[2].split()[0]) if "tbf" in said else 0
        self.proof = f"{waited} times a packet waited" if waited else ""
        self._tc("del")

    def _tc(self, verb: str, *what: str) -> None:
        command = ["tc", "qdisc", verb, "dev", "eth0", "root", *what]
        subprocess.run([*self.hit.network.inside, *command], check=True)


class StepClock(OfMasters):
    """One master's process lives on with another wall clock: it is started with a library that fakes it, and the clock is then
    set, an hour ahead or two minutes back."""

    name = "wall clock stepped"

    def begin(self) -> None:
        (self.hit,) = self.pick()
        self.clock = self.hit.folder / "clock"
        self.clock.write_text("+0")
        self.hit.daemon.environment = {
            "LD_PRELOAD": str(next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))),
            "FAKETIME_TIMESTAMP_FILE": str(self.clock),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        self.hit.kill()
        self.hit.start()
        time.sleep(2.0)
        step = self.chance.choice(["+3600", "-120"])
        self.clock.write_text(step)
        self.target += f" by {step} s"
        environment = {**os.environ, **self.hit.daemon.environment}
        said = subprocess.run(["date", "+%s"], env=environment, stdout=subprocess.PIPE, text=True)
        maps = Path(f"/proc/{self.hit.pid}/maps").read_text()
        seen_s = float(said.stdout) - time.time()
        if abs(seen_s - float(step)) < 5 and "libfaketime" in maps:
            self.proof = f"the clock that the process reads is {seen_s:+.0f} s off"

    def heal(self) -> None:
        self.clock.write_text("+0")
        self.hit.daemon.environment = {}


class OfHosts(Doing):
    def pick(self) -> Host:
        found = self.chance.choice(list(self.pair.hosts.values()))
        self.target = found.name
        return found


class KillAgent(OfHosts):
    name = "kill -9 of an agent"
    lasts_s = (0.5, 4.0)

    def begin(self) -> None:
        self.hit = self.pick()
        pid = self.hit.agent.pid
        self.hit.agent.kill()
        self.unheard = (self.hit.name,)
        self.proof = f"process {pid} ended" if not self.hit.agent.running else ""

    def heal(self) -> None:
        if not self.hit.agent.running:
            self.hit.agent.start()


class FreezeAgent(OfHosts):
    """For less than `lost_after`: whoever is frozen can't stop what `on_host_lost: stop` asks it to stop."""

    name = "SIGSTOP of an agent"
    lasts_s = (2.0, 5.0)

    def begin(self) -> None:
        self.hit = self.pick()
        self.unheard = (self.hit.name,)
        os.kill(self.hit.agent.pid, signal.SIGSTOP)
        time.sleep(0.05)
        pid = self.hit.agent.pid
        self.proof = f"process {pid} is in state T" if stopped(pid) else ""

    def heal(self) -> None:
        os.kill(self.hit.agent.pid, signal.SIGCONT)


class KillEngine(OfHosts):
    name = "kill -9 of an engine"
    lasts_s = (0.5, 2.0)

    def begin(self) -> None:
        self.hit = self.pick()
        pid = self.hit.engine.pid
        self.hit.engine.kill()
        self.proof = f"process {pid} ended" if not self.hit.engine.running else ""

    def heal(self) -> None:
        if not self.hit.engine.running:
            self.hit.engine.start()


class KillProxy(OfHosts):
    """Its launcher starts it again."""

    name = "kill -9 of a proxy"
    lasts_s = (0.5, 3.0)

    def begin(self) -> None:
        self.hit = self.pick()
        self.pid = self.hit.proxy.kill()

    def heal(self) -> None:
        wait_until(self._is_back, f"the proxy of {self.hit.name} is back")
        self.proof = f"process {self.pid} ended, and {self.hit.proxy.pid} came after it"

    def _is_back(self) -> bool:
        proxy = self.hit.proxy
        return proxy.pid not in (0, self.pid) and bool(proxy.workers)


class FreezeProxy(OfHosts):
    """The main process and its workers."""

    name = "SIGSTOP of a proxy"
    pids: tuple[int, ...] = ()

    def begin(self) -> None:
        self.hit = self.pick()
        self.pids = (self.hit.proxy.pid, *self.hit.proxy.workers)
        self._signal(signal.SIGSTOP)
        time.sleep(0.05)
        if len(self.pids) > 1 and all(map(stopped, self.pids)):
            self.proof = f"processes {list(self.pids)} are in state T"

    def heal(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        for pid in self.pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


class CutHost(OfLinks):
    """Shorter or longer than `lost_after`."""

    name = "a host cut off"
    lasts_s = (3.0, 13.0)

    def cut(self, leader: str) -> None:
        self.target = self.chance.choice(sorted(self.pair.hosts))
        self.unheard = (self.target,)
        self.links.isolate(self.target)


class Reboot(OfHosts):
    """All of a host's processes and its network end; then its engine and its agent start as at a boot."""

    name = "a host rebooted"
    lasts_s = (1.0, 3.0)

    def pick(self) -> Host:
        """One with Docker: the tests' Podman keeps what a boot would begin anew in a namespace of its own."""
        docker = [one for one in self.pair.hosts.values() if one.engine.name == "docker"]
        found = self.chance.choice(docker)
        self.target = found.name
        return found

    def begin(self) -> None:
        self.hit = self.pick()
        self.unheard = self.broken = (self.hit.name,)
        self.hit.agent.kill()
        self.hit.proxy.crash()
        folder = self.hit.engine.workspace.path
        ended = [pid for pid in process.of_workspace(folder) if process.identity(pid)]
        process.kill_workspace(folder)
        if ended and not [pid for pid in process.of_workspace(folder) if process.identity(pid)]:
            self.proof = f"{len(ended)} processes ended"

    def heal(self) -> None:
        self.hit.engine.kill()
        self.hit.network.renew()
        self.hit.proxy.start()
        self.hit.engine.start()
        command = [*self.hit.network.inside, *Cluster.daemon("agentd", self.hit.config)]
        log = self.hit.agent.log
        self.hit.agent = Daemon(f"agent of {self.hit.name}", command, log)
        self.hit.agent.start()


HOST_SIDE = (OfHosts, CutHost)
FAMILIES: tuple[tuple[type[Doing], ...], ...] = (HOST_SIDE, (OfMasters,), (OfMembers, LoseQuorum))
"""Of each family one at a time in a round: what two of them at one host may end is more than the rules can tell apart, and a
process that is down can't be stopped."""

FAULTS: tuple[type[Doing], ...] = (
    KillMaster,
    FreezeMaster,
    RestartMasters,
    KillMember,
    FreezeMember,
    FillMember,
    LoseQuorum,
    CutLeader,
    CutFromStore,
    CutFromAgents,
    CutPair,
    CutOneWay,
    LosePackets,
    SlowLink,
    StepClock,
    KillAgent,
    FreezeAgent,
    KillEngine,
    KillProxy,
    FreezeProxy,
    CutHost,
    Reboot,
)
