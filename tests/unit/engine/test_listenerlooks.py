"""What is read of containers' sockets: the kernel's tables, what containers declare, and what became of what can't be read."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any, Optional

import pytest

from hullmark.engine import probes
from hullmark.engine.listenerlooks import Declared, Sources, listening
from hullmark.model.control import Reading, Trouble
from hullmark.model.host import Listener
from tests.unit.engine.test_probes import Engine, Sight

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
TCP = (
    HEAD
    + "   0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1\n"
    + "   1: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2 1\n"
    + "   2: 0200D50A:0051 0100D50A:9C40 01 00000000:00000000 00:00000000 00000000     0        0 3 1\n"
)
TCP6 = (
    HEAD
    + "   0: 00000000000000000000000000000000:0052 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 4\n"
    + "   1: 0000000000000000FFFF00000100007F:0053 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 5\n"
)
UDP = (
    HEAD
    + "   0: 00000000:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 6 2\n"
    + "   1: 0200D50A:0036 0100D50A:0035 01 00000000:00000000 00:00000000 00000000     0        0 7 2\n"
)
LABELS = {"io.hullmark.app": "shop", "io.hullmark.service": "web"}
ROWS = [
    {"Id": "1", "Names": ["/web"], "Labels": LABELS},
    {"Id": "2", "Names": ["/other"], "Labels": {}},
]
WEB = {
    "Id": "1",
    "Name": "/web",
    "Image": "sha256:1",
    "State": {"Pid": 7},
    "Config": {"Labels": LABELS, "ExposedPorts": {"80/tcp": {}}},
    "HostConfig": {"NetworkMode": "shop", "PortBindings": {"53/udp": []}},
}
IMAGE: Mapping[str, Any] = {"Config": {"ExposedPorts": {"82/tcp": {}}}}
FILES = {"/proc/7/net/tcp": TCP, "/proc/7/net/udp": UDP, "/proc/7/net/tcp6": TCP6}


def look(
    found: Mapping[str, Any] = WEB,
    files: Mapping[str, str] = FILES,
    told: Optional[Declared] = None,
    on_host: Optional[tuple[Listener, ...]] = (),
) -> dict[str, Reading]:
    engine = Engine({"/containers/json": ROWS, "inspect 1": found, "image sha256:1": IMAGE})
    sources = Sources(
        lambda: told, lambda containers: on_host if containers == {"1": "web"} else ()
    )
    looks: Any = probes.looks(engine, sources)  # type: ignore[arg-type]
    return {each.name: each for each in looks["containers.listeners"](Sight(files), {})}


@pytest.mark.skipif(sys.byteorder != "little", reason="the tables above are of such a machine")
def test_the_kernels_tables() -> None:
    assert list(listening(TCP, "tcp")) == [
        Listener(80, "tcp", "0.0.0.0"),
        Listener(8080, "tcp", "127.0.0.1"),
    ]
    assert list(listening(TCP6, "tcp")) == [
        Listener(82, "tcp", "::"),
        Listener(83, "tcp", "::ffff:127.0.0.1"),
    ]
    assert list(listening(UDP, "udp")) == [Listener(53, "udp", "0.0.0.0")]


def test_one_of_ours_is_looked_at_and_others_are_not() -> None:
    found = look(told={"shop/web": frozenset({"81/tcp"}), "shop/db": frozenset({"5432/tcp"})})
    assert set(found) == {"engine", "listeners:web"}
    said = json.loads(found["listeners:web"].text)
    assert said["declared"] == ["53/udp", "80/tcp", "81/tcp", "82/tcp"]
    assert (said["network"], said["told"], len(said["sockets"])) == ("own", True, 5)
    assert json.loads(look()["listeners:web"].text)["told"] is False


def test_what_has_the_hosts_network_is_told_by_the_host() -> None:
    host = {**WEB, "HostConfig": {"NetworkMode": "host"}}
    there = (Listener(9000, "tcp", "0.0.0.0", "x", "web"), Listener(1, "tcp", "::", "x", "other"))
    said = json.loads(look(host, {}, on_host=there)["listeners:web"].text)
    assert (said["network"], said["sockets"]) == ("host", [["tcp", "0.0.0.0", 9000]])
    assert look(host, {}, on_host=None)["listeners:web"].trouble is Trouble.DENIED


def test_one_that_ended_meanwhile_is_left_out() -> None:
    assert set(look(files={})) == {"engine"}
    assert look(files={"/proc/7/net/tcp": TCP, "/proc/7/net/udp": UDP})["listeners:web"].text
