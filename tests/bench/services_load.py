"""What is measured of one way from a client to a server: requests, connections, bulk. By wrk and iperf3 of the distribution.

The server's image has this machine's HAProxy, which answers itself, and its iperf3. Each round measures every way once, one after the other, so that
a machine whose speed drifts treats them alike; ratios are worked out in each round, and their median counts.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import psutil

from tests import reach, server
from tests.integration.daemon import Engine, required

IMAGE = "localhost/hullmark-bench-server:1"
HTTP, BULK = server.PORT, 5201
SERVES = ("/bin/haproxy", "-db", "-f", "/etc/server.cfg")
TAKES = ("/bin/iperf3", "-s", "-p", str(BULK))
CONNECTIONS = 8
"""Open at a time. More would say more of the queue before two cores than of the way."""
WRK = """\
done = function(summary, latency, requests)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format('\\nFIGURES {"requests": %d, "microseconds": %d, "failed": %d, "p50": %d, "p99": %d}\\n',
    summary.requests, summary.duration, failed, latency:percentile(50), latency:percentile(99)))
end
"""


@dataclass(frozen=True)
class Way:
    """`inside`: before a command that is the client. `http` and `bulk`: what it calls. `proxies`: main processes that are in the way. Ways of a group have client and server at the same places."""

    group: str
    name: str
    inside: tuple[str, ...]
    http: tuple[str, int]
    bulk: tuple[str, int]
    proxies: tuple[int, ...] = ()

    @property
    def key(self) -> str:
        return f"{self.group}: {self.name}"


def takes_calls(way: Way) -> bool:
    """Whether both servers are there; iperf3 says nothing before its client does."""
    found = reach.ask(way.inside, [way.http, way.bulk])
    return found[way.http] == reach.ANSWERED and found[way.bulk] in (reach.ANSWERED, reach.MUTE)


@dataclass(frozen=True)
class Figures:
    """Of one way in one round. Requests go over connections that stay open; for `connections_per_s` each is made anew. `failed` counts both.
    What the proxies in the way spent of the processor on each tells also on a busy machine; 0 where there is none."""

    requests_per_s: float
    p50_ms: float
    p99_ms: float
    connections_per_s: float
    connection_p99_ms: float
    bulk_mbit_per_s: float
    failed: int
    proxy_us_per_request: float
    proxy_us_per_connection: float


def load_image(engine: Engine) -> None:
    files = {**server.files_of("haproxy"), **server.files_of("iperf3")}
    files["/etc/server.cfg"] = server.CONFIGURATION.encode()
    config = {"Cmd": list(SERVES), "Env": ["PATH=/bin", "ROUND=-"]}
    engine.load_image(IMAGE, config, files)


class Meter:
    """`folder`: for wrk's script. `seconds`: how long each of the three takes."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self._script = folder / "figures.lua"
        self._script.write_text(WRK)
        self._seconds = seconds

    def measure(self, way: Way) -> Figures:
        spent = [_spent_us(way)]
        kept = self._requests(way, ())
        spent.append(_spent_us(way))
        anew = self._requests(way, ("-H", "Connection: close"))
        spent.append(_spent_us(way))
        return Figures(
            requests_per_s=kept["requests"] / kept["microseconds"] * 1e6,
            p50_ms=kept["p50"] / 1000,
            p99_ms=kept["p99"] / 1000,
            connections_per_s=anew["requests"] / anew["microseconds"] * 1e6,
            connection_p99_ms=anew["p99"] / 1000,
            bulk_mbit_per_s=self._bulk(way),
            failed=kept["failed"] + anew["failed"],
            proxy_us_per_request=(spent[1] - spent[0]) / kept["requests"],
            proxy_us_per_connection=(spent[2] - spent[1]) / anew["requests"],
        )

    def _requests(self, way: Way, more: Sequence[str]) -> dict[str, int]:
        host, port = way.http
        command = [required("wrk"), "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(self._seconds))}"]
        command += ["-s", str(self._script), *more, f"http://{host}:{port}/"]
        said = _said([*way.inside, *command])
        found: dict[str, int] = json.loads(said.rpartition("FIGURES ")[2])
        assert found["requests"] > 0, f"{way.key}: nothing answers at {host}:{port}\n{said}"
        return found

    def _bulk(self, way: Way) -> float:
        """One connection. The server takes one client at a time, and may not be done with the one before."""
        host, port = way.bulk
        command = [required("iperf3"), "-c", host, "-p", str(port), "-J", "-t"]
        command.append(str(max(1, round(self._seconds))))
        said: Any = {}
        for _ in range(10):
            said = json.loads(_said([*way.inside, *command], may_fail=True))
            if "error" not in said:
                return float(said["end"]["sum_received"]["bits_per_second"]) / 1e6
            time.sleep(0.3)
        raise AssertionError(f"{way.key}: {host}:{port}: {said['error']}")


def _spent_us(way: Way) -> float:
    """Of the processor until now, by the proxies in the way and their workers."""
    mains = [psutil.Process(pid) for pid in way.proxies]
    times = [one.cpu_times() for main in mains for one in (main, *main.children())]
    return sum(each.user + each.system for each in times) * 1e6


def _said(command: Sequence[str], *, may_fail: bool = False) -> str:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert may_fail or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


Rounds = Mapping[str, Sequence[Figures]]


def medians(rounds: Rounds) -> dict[str, dict[str, float]]:
    """Of each way."""
    return {
        way: {
            one.name: round(statistics.median(getattr(each, one.name) for each in found), 3)
            for one in fields(Figures)
        }
        for way, found in rounds.items()
    }


def beside(rounds: Rounds, way: str, base: str) -> dict[str, float]:
    """One way beside another: the middle of what each round says."""
    pairs = list(zip(rounds[way], rounds[base]))

    def ratio(name: str) -> float:
        return round(statistics.median(getattr(a, name) / getattr(b, name) for a, b in pairs), 3)

    return {
        "requests": ratio("requests_per_s"),
        "connections": ratio("connections_per_s"),
        "bulk": ratio("bulk_mbit_per_s"),
        "processor": ratio("proxy_us_per_request")
        if all(b.proxy_us_per_request for _, b in pairs)
        else 0.0,
        "p99_more_ms": round(statistics.median(a.p99_ms - b.p99_ms for a, b in pairs), 3),
    }
