"""The agent's loop for its host's proxy, with a real engine and a real HAProxy: who is given connections, when, and for how long."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator

import pytest

from hullmark.model.app import Attachment, Bundle, ContainerSpec, Network
from hullmark.model.directory import ServiceEntry, ServiceName
from tests import reach, server
from tests.cluster import wait_until
from tests.integration.proxybed import ProxyBed, load_images, wait_for_name
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
def bed(yard: Yard) -> Iterator[ProxyBed]:
    load_images(yard)
    with ProxyBed(yard) as made:
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


def test_a_service_is_reached_by_its_name_while_its_instances_come_and_go(bed: ProxyBed) -> None:
    caller = bed.run(CALLER, 1)
    assert "web" not in bed.hosts(caller)
    bed.tell(ENTRY)
    assert wait_for_name(bed, caller, "web") == ADDRESS
    assert bed.hosts(caller)["web.sea"] == ADDRESS, "without being made anew"
    first = bed.run(WEB, 1)
    soon(lambda: answers(bed, caller), "from started to served", 3 * MOST_S)
    second = bed.run(WEB, 2)

    with Load(bed.inside(caller), ADDRESS, server.PORT, rate=100) as load:
        time.sleep(0.5)
        bed.stop(WEB, 2, second)
        bed.yard.engine.remove(second)
        second = bed.run(WEB, 2)
        time.sleep(0.5)
        bed.restart_agent()
        time.sleep(1.0)
    assert load.outcome.failures == []
    assert len({body.split()[0] for body in load.outcome.answers}) == 3, "two and the new one"
    assert bed.hosts(caller)["web"] == ADDRESS
    assert first != second


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
