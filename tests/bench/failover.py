"""How long until the next accepted write once the leader is lost: a pair of masters, and Docker Swarm with three managers.

    python -m tests.bench.failover [--runs 20] [--only hullmark|swarm]

Both in network namespaces of one machine, one after the other, so that neither pays for the other's daemons. The clock starts before the
leader is killed, or its machine's cable is pulled (with its member of etcd on it). Writes are then tried at all that are left at once,
and again 50 ms after each failure. Adds `failover` to build/bench.json.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from tests.bench import failover_swarm
from tests.chaos.load import Door, compiled
from tests.chaos.pair import API_PORT, Master, Pair
from tests.chaos.record import Try
from tests.cluster import wait_until
from tests.e2e.callers import UnixConnection, exchange
from tests.integration.namespaces import enter_private_network

OUTPUT = Path("build/bench.json")
RUNS = 20
WRITERS = 8
WRITING_S = 10.0
READY_S = 30.0
SETTLED_S = 2.0
"""How long the pair is left alone before its leader is lost again."""


class Measured:
    """A pair without hosts: what is timed is the masters and their store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pair = Pair(folder, {})
        self._names = iter(range(1 << 30))

    def __enter__(self) -> Measured:
        self.pair.__enter__()
        self.token = self.folder / "token"
        create = ("token", "create", "bench", "--role", "deployer")
        self.pair.hullmark(*create, "--token-file", str(self.token))
        return self

    def __exit__(self, *reason: object) -> None:
        self.pair.stop()

    def door(self, masters: list[Master]) -> Door:
        root = self.pair.masters["m1"].state / "pki" / "root.pem"
        addresses = [one.network.address for one in masters]
        return Door(addresses, API_PORT, root, self.token.read_text().strip())

    def write(self, door: Door, app: str) -> list[Try]:
        """One change, tried until it is accepted; all its tries."""
        number = next(self._names)
        tries: list[Try] = []
        body = {
            "app": compiled(self.folder, app, str(number), 0),
            "request_id": f"bench-{number}-{os.urandom(6).hex()}",
        }
        one = door.change(app, "PUT", f"/v1/apps/{app}", body, tries)
        assert one is not None, f"not accepted: {tries[-1]}"
        assert one.outcome == "done", f"not accepted: {one}"
        return tries

    def settle(self) -> None:
        for master in self.pair.masters.values():
            if not master.running:
                master.start()
        for member in self.pair.etcd.members:
            member.wait()
        standby = self.pair.standby()
        wait_until(lambda: self._stands_by(standby), f"{standby.name} stands by")
        self.write(self.door(list(self.pair.masters.values())), "written")
        time.sleep(SETTLED_S)

    def _stands_by(self, master: Master) -> bool:
        """A process that was killed takes seconds to start: until then there is nobody who could follow."""
        tries: list[Try] = []
        path = "/v1/apps/none/scale"
        body = {"services": {"one": 1}, "request_id": os.urandom(8).hex()}
        self.door([master]).change("none", "POST", path, body, tries, give_up_s=0.0)
        return bool(tries) and tries[-1].detail.startswith("421")

    def killed(self) -> float:
        leader, standby = self.pair.leader(), self.pair.standby()
        began_s = time.monotonic()
        leader.kill()
        return self.write(self.door([standby]), "written")[-1].ended_s - began_s

    def cut(self) -> float:
        leader, standby = self.pair.leader(), self.pair.standby()
        began_s = time.monotonic()
        leader.network.cut()
        took_s = self.write(self.door([standby]), "written")[-1].ended_s - began_s
        leader.network.heal()
        return took_s

    def handed_over(self) -> float:
        """From asking the leader on until the other one accepts a write."""
        leader, standby = self.pair.leader(), self.pair.standby()
        epoch = ".".join(map(str, self.pair.eye.leader().epoch))
        body = {"epoch": epoch, "request_id": os.urandom(8).hex()}
        began_s = time.monotonic()
        answer = exchange(UnixConnection(str(leader.socket)), "POST", "/v1/master/step-down", body)
        assert answer.status == 200, answer.raw
        return self.write(self.door([standby]), "written")[-1].ended_s - began_s

    def writes_a_second(self) -> float:
        """Acknowledged changes of so many clients, each of an app of its own, one after the other."""
        until = time.monotonic() + WRITING_S
        counts = [0] * WRITERS

        def keep_writing(writer: int) -> None:
            door = self.door([self.pair.leader()])
            while time.monotonic() < until:
                self.write(door, f"w{writer}")
                counts[writer] += 1

        threads = [threading.Thread(target=keep_writing, args=(n,)) for n in range(WRITERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(counts) / WRITING_S


def hullmark(runs: int) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix="hm-failover-"))
    found: dict[str, Any] = {"kill -9": [], "cut": [], "handover": []}
    try:
        with Measured(folder / "bed") as bed:
            bed.settle()
            found["writes_a_second"] = bed.writes_a_second()
            for number in range(runs):
                for name, measure in (
                    ("kill -9", bed.killed),
                    ("cut", bed.cut),
                    ("handover", bed.handed_over),
                ):
                    found[name].append(measure())
                    bed.settle()
                last = {
                    name: round(each[-1], 2)
                    for name, each in found.items()
                    if name != "writes_a_second"
                }
                print(f"Hullmark {number + 1}/{runs}: {json.dumps(last)}", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return found


def table(found: dict[str, Any]) -> list[str]:
    lines = [f"{'until the next accepted write':32}{'runs':>6}{'median':>9}{'max':>9}"]
    for side, figures in found.items():
        for name, values in figures.items():
            if isinstance(values, list):
                middle, most = statistics.median(values), max(values)
                lines.append(f"  {side + ', ' + name:30}{len(values):6}{middle:8.2f}s{most:8.2f}s")
            else:
                lines.append(f"  {side + ', ' + name:30}{values:8.1f}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.failover", description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--only", choices=("hullmark", "swarm"))
    asked = parser.parse_args()
    enter_private_network()
    before = json.loads(OUTPUT.read_text()) if OUTPUT.exists() else {}
    found = before.get("failover", {})
    if asked.only != "swarm":
        found["Hullmark"] = hullmark(asked.runs)
    if asked.only != "hullmark":
        found["Swarm"] = failover_swarm.measure(asked.runs)
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps({**before, "failover": found}, indent=2) + "\n")
    print("\n".join(table(found)))


if __name__ == "__main__":
    main()
