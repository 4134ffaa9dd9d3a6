"""The agent's loop for its host's proxy, with a real engine and a real HAProxy: who is given connections, when, and for how long."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from hullmark.agentd import proxying, proxypeers
from hullmark.agentd.proxyanswers import LOOKS
from hullmark.engine.haproxyruntime import SERVERS, Sockets
from hullmark.model.app import Attachment, Bundle, ContainerSpec, Network
from hullmark.model.directory import ServiceEntry, ServiceName
from tests import reach, server
from tests.cluster import wait_until
from tests.integration.proxybed import ProxyBed, proxy_bed, wait_for_name
from tests.integration.shipyard import IMAGE, Yard
from tests.load import Load

NETWORKS = (Attachment("back"),)
WEB = Bundle(
    "sea",
    "web",
    ContainerSpec(server.IMAGE, networks=NETWORKS, stop_grace_s=2.0),
    {"back": Network()},
)
CALLER = Bundle(
    "sea",
    "caller",
    ContainerSpec(IMAGE, command=("sleep", "1000"), init=True, networks=NETWORKS),
    {"back": Network()},
)
ADDRESS = "10.214.0.7"
ENTRY = ServiceEntry(
    ServiceName("sea", "web"), ADDRESS, (server.PORT,), networks={"back": ()}, drain_s=4.0
)
MOST_S = 1.0
"""Within which a change of who serves has to be in force. An instance that was just started also has to begin to listen."""


@pytest.fixture
def bed(yard: Yard, request: pytest.FixtureRequest) -> Iterator[ProxyBed]:
    with proxy_bed(yard, request.session) as made:
        yield made


def soon(look: Callable[[], object], what: str, most_s: float = MOST_S) -> float:
    """Seconds until it is so, at most as many as are allowed."""
    began = time.monotonic()
    while not look():
        assert time.monotonic() - began < most_s, f"{what}: not within {most_s} s"
        time.sleep(0.01)
    took_s = time.monotonic() - began
    print(f"MEASURED {what}: {took_s:.3f} s")
    return took_s


def answers(bed: ProxyBed, caller: str) -> bool:
    target = (ADDRESS, server.PORT)
    return reach.ask(bed.inside(caller), [target])[target] == reach.ANSWERED


def wait_for_server(bed: ProxyBed, container_id: str) -> None:
    config = bed.proxy.folder / "haproxy.cfg"
    wait_until(lambda: container_id[:12] in config.read_text(), "the proxy has it", 10)


def wait_for_use(bed: ProxyBed, container_id: str) -> None:
    """Until the proxy has given it some connections."""

    def is_used() -> bool:
        rows = Sockets(bed.proxy.run_dir).stat(SERVERS)
        return any(int(row["stot"] or 0) > 3 for row in rows if container_id[:12] in row["svname"])

    wait_until(is_used, "it is asked", 10)


def test_a_service_is_reached_by_its_name_while_its_instances_come_and_go(bed: ProxyBed) -> None:
    caller = bed.run(CALLER, 1)
    assert "web" not in bed.hosts(caller)
    bed.tell(ENTRY)
    assert wait_for_name(bed, caller, "web") == ADDRESS
    assert bed.hosts(caller)["web.sea"] == ADDRESS, "without being made anew"
    first = bed.run(WEB, 1)
    soon(lambda: answers(bed, caller), "from started to served", 3 * MOST_S)
    second = bed.run(WEB, 2)
    wait_for_server(bed, second)

    with Load(bed.inside(caller), ADDRESS, server.PORT, rate=100) as load:
        wait_for_use(bed, second)
        bed.stop(WEB, 2, second)
        bed.yard.engine.remove(second)
        second = bed.run(WEB, 2)
        wait_for_use(bed, second)
        bed.restart_agent()
        time.sleep(1.0)
    assert load.outcome.failures == []
    assert len({body.split()[0] for body in load.outcome.answers}) == 3, "two and the new one"
    assert bed.hosts(caller)["web"] == ADDRESS
    assert first != second


def test_who_only_calls_reaches_a_service_while_others_come_and_go(bed: ProxyBed) -> None:
    """The kernel gives a bridge the lowest hardware address of what is plugged in, if none was set: of eight one is lower with near certainty."""
    caller = bed.run(CALLER, 1)
    bed.tell(ENTRY)
    bed.run(WEB, 1)
    soon(lambda: answers(bed, caller), "from started to served", 3 * MOST_S)
    before = gateway(bed, caller)
    for slot in range(2, 10):
        bed.run(WEB, slot)
        assert answers(bed, caller)
    assert gateway(bed, caller) == before


def gateway(bed: ProxyBed, container_id: str) -> list[str]:
    """The host's end of the container's network: its hardware address, as the host has it."""
    (network,) = bed.yard.inspect(container_id)["NetworkSettings"]["Networks"].values()
    links = json.loads(subprocess.run(["ip", "-json", "address"], stdout=subprocess.PIPE).stdout)
    return [
        link["address"]
        for link in links
        if any(each.get("local") == network["Gateway"] for each in link["addr_info"])
    ]


def test_connections_end_before_the_signal(bed: ProxyBed) -> None:
    bed.tell(ENTRY)
    caller = bed.run(CALLER, 1)
    instances = {slot: bed.run(WEB, slot) for slot in (1, 2)}
    soon(lambda: answers(bed, caller), "from started to served", 3 * MOST_S)
    with Load(bed.inside(caller), ADDRESS, server.PORT, "/slow", rate=20) as load:
        time.sleep(1.0)
        waited_s = bed.stop(WEB, 1, instances[1])
    assert load.outcome.failures == [], "each answer takes two seconds"
    assert 1.0 < waited_s < ENTRY.drain_s, "until the last answer, and no longer"


def test_a_killed_instance_is_out_at_once_and_a_killed_proxy_is_told_again(bed: ProxyBed) -> None:
    bed.tell(ENTRY)
    caller = bed.run(CALLER, 1)
    instances = {slot: bed.run(WEB, slot) for slot in (1, 2)}
    soon(lambda: answers(bed, caller), "from started to served", 3 * MOST_S)

    def known() -> set[str]:
        """Of which containers the proxy has servers that may be given connections."""
        text = (bed.proxy.folder / "haproxy.cfg").read_text()
        return {one for one in instances.values() if one[:12] in text}

    wait_until(lambda: known() == set(instances.values()), "the proxy has both", 5)
    bed.yard.sdk.containers.get(instances[1]).kill()
    soon(lambda: known() == {instances[2]}, "from killed to out")

    bed.proxy.kill()
    soon(lambda: bed.proxy.workers, "the proxy is back", 2.0)
    wait_until(lambda: answers(bed, caller), "the other one is reached", 5)
    wait_until(lambda: [one.kind for one in bed.agent.records] == ["proxy.restarted"], "its record")


def test_files_of_the_proxy_that_somebody_changed_are_put_back(bed: ProxyBed) -> None:
    bed.tell(ENTRY)
    caller = bed.run(CALLER, 1)
    bed.run(WEB, 1)
    soon(lambda: answers(bed, caller), "from started to served", 3 * MOST_S)
    time.sleep(
        1.0
    )  # until the agent's own change is done: what it is about to write itself is nobody's
    config = bed.proxy.folder / "haproxy.cfg"
    with config.open("a") as file:
        file.write("# by somebody else\n")
    wait_until(lambda: "somebody else" not in config.read_text(), "the file is put back", 10)
    wait_until(lambda: "proxy.tampered" in [one.kind for one in bed.agent.records], "its record")
    assert answers(bed, caller)
    assert bed.agent.problems.all() == ()


DOOR = ("127.0.0.1", 4444)
"""Where somebody else has the proxy listen."""


def open_door(bed: ProxyBed) -> str:
    """Write it into the configuration, have it loaded, and see it open. What was in the file before."""
    config = bed.proxy.folder / "haproxy.cfg"
    before = config.read_text()
    config.write_text(f"{before}\nlisten door\n    bind {DOOR[0]}:{DOOR[1]}\n")
    os.kill(bed.proxy.pid, signal.SIGUSR2)
    wait_until(is_open, "the door is open", 5)
    return before


def is_open() -> bool:
    return reach.ask([], [DOOR])[DOOR] != reach.REFUSED


def kinds(bed: ProxyBed) -> list[str]:
    return [one.kind for one in bed.agent.records]


def serve(bed: ProxyBed) -> str:
    """Until nothing is to be told any more. The caller."""
    bed.tell(ENTRY)
    caller = bed.run(CALLER, 1)
    bed.run(WEB, 1)
    soon(lambda: answers(bed, caller), "from started to served", 3 * MOST_S)
    time.sleep(2.5)
    return caller


def test_what_was_loaded_while_no_agent_ran_does_not_stay(bed: ProxyBed) -> None:
    caller = serve(bed)
    worker = bed.proxy.workers
    bed.restart_agent()
    time.sleep(3.0)
    assert (bed.proxy.workers, kinds(bed)) == (worker, []), "a restart alone reloads nothing"
    bed.agent.end()
    before = open_door(bed)
    bed.agent = bed.begin()
    wait_until(lambda: not is_open(), "the door is shut", 10)
    assert (bed.proxy.folder / "haproxy.cfg").read_text() == before
    time.sleep(2.5)
    assert kinds(bed) == ["proxy.tampered", "proxy.reloaded"], "each once"
    assert bed.agent.watch.troubles()
    assert answers(bed, caller)
    assert bed.agent.problems.all() == ()


def test_what_was_loaded_and_put_back_at_once_does_not_stay(bed: ProxyBed) -> None:
    caller = serve(bed)
    for _ in range(3):  # until none of the agent's looks was between
        bed.agent.records.clear()
        before = open_door(bed)
        (bed.proxy.folder / "haproxy.cfg").write_text(before)
        wait_until(lambda: not is_open(), "the door is shut", 10)
        wait_until(lambda: kinds(bed), "its record")
        if "loaded anew" in bed.agent.records[0].reason:
            break
    assert set(kinds(bed)) == {"proxy.tampered"}
    assert "loaded anew" in bed.agent.records[0].reason
    assert bed.agent.watch.troubles()
    assert answers(bed, caller)


def test_a_reload_by_its_service_is_no_trouble(bed: ProxyBed) -> None:
    caller = serve(bed)
    os.kill(bed.proxy.pid, signal.SIGUSR2)
    wait_until(lambda: kinds(bed), "its record")
    time.sleep(5.0)
    assert kinds(bed) == ["proxy.reloaded"], "once, and no reload follows the agent's own"
    assert bed.agent.watch.troubles() == ()
    assert answers(bed, caller)
    assert bed.agent.problems.all() == ()


def test_a_container_that_does_not_answer_is_a_problem_until_it_does(
    bed: ProxyBed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At eight times the pace."""
    pace_s = proxypeers.PACE_S / 8
    monkeypatch.setattr(proxypeers, "PACE_S", pace_s)
    monkeypatch.setattr(proxying, "LOOK_S", pace_s)
    command = ("httpd", "-f", "-p", f"127.0.0.1:{server.PORT}")
    deaf = dataclasses.replace(
        WEB, container=dataclasses.replace(CALLER.container, command=command)
    )
    bed.tell(ENTRY)
    caller = bed.run(CALLER, 1)
    container, began = bed.run(deaf, 1), time.monotonic()
    wait_until(lambda: problems(bed), "it is a problem", 20)
    assert time.monotonic() - began > (LOOKS - 1) * pace_s
    (said,) = problems(bed)
    assert f"sea.web.1.g1 on port {server.PORT} (it is refused" in said
    answering = bed.run(WEB, 2)
    wait_for_server(bed, answering)
    os.kill(bed.proxy.pid, signal.SIGUSR2)
    until = time.monotonic() + 6 * pace_s
    while time.monotonic() < until:
        assert problems(bed) == [said], "whatever else happens"
        time.sleep(0.05)

    (network,) = bed.yard.inspect(container)["NetworkSettings"]["Networks"].values()
    place = ["--bind", network["IPAddress"], str(server.PORT)]
    with subprocess.Popen(
        [*bed.inside(container), sys.executable, "-m", "http.server", *place]
    ) as program:
        try:
            wait_until(lambda: not problems(bed), "it is over", 10)
        finally:
            program.kill()
    assert answers(bed, caller)
    bed.yard.sdk.containers.get(container).kill()
    time.sleep((LOOKS + 1) * pace_s)
    assert problems(bed) == [], "one that is gone need not answer"


def problems(bed: ProxyBed) -> list[str]:
    return [one.message for one in bed.agent.problems.all()]


def test_who_is_not_on_the_network_is_refused(bed: ProxyBed) -> None:
    bed.tell(ENTRY)
    caller = bed.run(CALLER, 1)
    bed.run(WEB, 1)
    soon(lambda: answers(bed, caller), "from started to served", 3 * MOST_S)
    other = dataclasses.replace(CALLER, app="bank")
    stranger = bed.run(other, 1)
    assert "web" not in bed.hosts(stranger)
    bed.agent.proxying.wake()
    wait_until(lambda: not answers(bed, stranger) and bed.refusals(), "it is refused", 5)
