"""`hullmark services`"""

from __future__ import annotations

import dataclasses
import json

import pytest

from hullmark.model.app import PortMode
from hullmark.model.directory import ServiceName
from hullmark.model.proxy import Down, PortTraffic
from hullmark.model.services import (
    HostShare,
    HostTraffic,
    Published,
    ServiceList,
    ServiceReach,
    Spot,
)
from tests.unit.cli.conftest import Run
from tests.unit.cli.fakemaster import FakeMaster

PATH = "GET /v1/services"
API, WEB = ServiceName("shop", "api"), ServiceName("shop", "web")
SPOTS = (Spot("web1", "10.0.0.1", 8080, 1), Spot("web3", "10.0.0.3", 8080))
REACH = ServiceReach(
    API,
    "10.214.0.2",
    ports=(80, 443),
    wanted=2,
    serving=2,
    hosts=(HostShare("web1", 1, 1), HostShare("web2", 1, 1, "silent")),
    published=(
        Published(8080, 80, spots=SPOTS, silent=("web2: silent",)),
        Published(53, 53, PortMode.HOST, "udp", (Spot("web1", "10.0.0.1", 53, 1),)),
    ),
    users=("edge/lb",),
    uses=("shop/db",),
)
PLAIN = ServiceReach(WEB, why_no_address="no TCP port of it is known", wanted=1, serving=1)
JOB = ServiceReach(ServiceName("shop", "job"), wanted=1, one_shot=True)
CARRIED = PortTraffic(API, 80, up=1, members=2, open=2, connections=40, queue_ms=3, retries=1,
                      redispatches=1, errors=2, refused=5, bytes_in=2048, bytes_out=3 << 20)  # fmt: skip
TRAFFIC = (
    HostTraffic("web1", (CARRIED,)),
    HostTraffic("web3", (PortTraffic(API, 80, up=1, members=2, open=1, connections=2, queue_ms=9,
                                     down=(Down("web2", "L4TOUT"),)),)),
)  # fmt: skip


def test_services_with_what_was_carried(master: FakeMaster, run: Run) -> None:
    master.answers[PATH] = ServiceList((REACH, PLAIN, JOB), True, TRAFFIC)
    done = run("services")
    assert (done.code, done.err) == (0, "")
    assert done.out == (
        "SERVICE   ADDRESS     PORTS   HEALTHY  PUBLISHED                                             OPEN  TOTAL  QUEUE  RETRIES  ERRORS  REFUSED  HOSTS\n"
        "shop/api  10.214.0.2  80,443  2 of 2   8080 on 2 hosts (1 unknown), 53/udp (host) on 1 host  3     42     9 ms   2        2       5        web1, web2\n"
        "shop/web  -           -       1 of 1   -                                                     -     -      -      -        -       -        -\n"
        "shop/job  -           -       0 of 1   -                                                     -     -      -      -        -       -        -\n"
    )
    (request,) = master.requests
    assert request.query == {"traffic": "true"}


def test_what_is_published_for_hosts_own_programs_only(master: FakeMaster, run: Run) -> None:
    spots = (Spot("web1", "127.0.0.1", 8080, 1), Spot("web2", "::ffff:127.0.0.1", 8080))
    reach = ServiceReach(API, published=(Published(8080, 80, spots=spots),))
    master.answers[PATH] = ServiceList((reach,))
    assert "  8080 (loopback) on 2 hosts  " in run("services", "--no-traffic").out


def test_strangers_at_the_port_between_hosts_are_counted(master: FakeMaster, run: Run) -> None:
    knocked = (TRAFFIC[0], dataclasses.replace(TRAFFIC[1], strangers=1990))
    master.answers[PATH] = ServiceList((REACH,), True, knocked)
    done = run("services")
    assert done.code == 0
    assert done.out.splitlines()[2:] == [
        "web3: 1990 connections to the port between hosts ended before it was known who calls"
    ]


def test_hosts_that_did_not_answer_are_named(master: FakeMaster, run: Run) -> None:
    master.answers[PATH] = ServiceList((REACH,), True, TRAFFIC, ("web2: silent",))
    done = run("services")
    assert done.code == 1
    assert done.out.splitlines()[-1] == "not asked, or no answer: web2: silent"


def test_an_instance_that_does_not_serve(master: FakeMaster, run: Run) -> None:
    master.answers[PATH] = ServiceList((ServiceReach(API, wanted=2, serving=1),))
    assert run("services", "--no-traffic").code == 1
    (request,) = master.requests
    assert request.query == {}


def test_what_is_on_a_host_that_is_not_heard_is_unknown(master: FakeMaster, run: Run) -> None:
    lost = HostShare("web2", 1, 0, "lost", unknown=1, last_known=1)
    gone = ServiceReach(API, wanted=1, hosts=(lost,), unknown=1)
    master.answers[PATH] = ServiceList((gone, PLAIN), True, TRAFFIC[:1], ("web2: lost",))
    done = run("services")
    assert done.code == 3
    assert "  0 of 1, 1 unknown  " in done.out
    assert done.out.splitlines()[-1].endswith("hullmark why shop/api")
    assert run("services", "shop/api").out.splitlines()[1:3] == [
        "  0 of 1 healthy, 1 unknown",
        "    0 of 1 on web2, lost, 1 unknown (1 served as known last)",
    ]
    found = run("services", "--output", "json").document["services"][0]
    assert (found["unknown"], found["hosts"][0]["last_known"]) == (1, 1)
    partly = ServiceReach(WEB, wanted=2, serving=1, unknown=1)
    for known in (partly, ServiceReach(WEB, wanted=2, unknown=1), ServiceReach(WEB, wanted=1)):
        master.answers[PATH] = ServiceList((gone, known))
        assert run("services").code == 1


def test_what_is_on_a_lost_host_that_others_do_not_reach_is_missing(
    master: FakeMaster, run: Run
) -> None:
    lost = HostShare("web2", 1, 0, "lost", unknown=1, last_known=1)
    gone = ServiceReach(API, wanted=1, hosts=(lost,), unknown=1)
    unreached = PortTraffic(API, 80, members=1, down=(Down("web2", "L4TOUT"),))
    other = PortTraffic(WEB, 80, members=1, down=(Down("web2", "L4TOUT"),))
    master.answers[PATH] = ServiceList((gone,), True, (HostTraffic("web3", (other,)),))
    assert run("services").code == 3
    master.answers[PATH] = ServiceList((gone,), True, (HostTraffic("web3", (unreached,)),))
    done = run("services")
    assert done.code == 1
    assert "and others' proxies get no answer, of shop/api." in done.out.replace("\n", " ")


def test_whether_a_host_answers_that_is_not_heard_is_unknown(master: FakeMaster, run: Run) -> None:
    gone = Published(8080, 80, silent=("web1: lost", "web2: never", "web3: it has no proxy"))
    master.answers[PATH] = ServiceList((ServiceReach(API, published=(gone,)),))
    assert "  8080 on 0 hosts (2 unknown)  " in run("services", "--no-traffic").out
    assert run("services", "shop/api", "--no-traffic").out.splitlines()[2:] == [
        "  published: 8080/tcp to 80, answered by no host that is heard",
        "    whether web1 answers it is not known: lost",
        "    whether web2 answers it is not known: never",
        "    not answered by web3: it has no proxy",
    ]
    untold = dataclasses.replace(gone, silent=(), known=False)
    master.answers[PATH] = ServiceList((ServiceReach(API, published=(untold,)),))
    assert "  8080 (hosts unknown)  " in run("services", "--no-traffic").out
    assert "answered by hosts that are not known yet" in run("services", "shop/api").out


def test_a_published_port_that_another_program_has(master: FakeMaster, run: Run) -> None:
    spot = Spot("web1", "10.0.0.1", 8080, 1)
    silent = ("web1: python3 has port 8080 of 10.0.0.1",)
    published = Published(8080, 80, silent=silent, taken=(spot,))
    reach = dataclasses.replace(PLAIN, published=(published,))
    master.answers[PATH] = ServiceList((reach,))
    done = run("services", "--no-traffic")
    assert done.code == 1
    assert "  8080 on 0 hosts  " in done.out
    assert done.out.splitlines()[-1] == (
        "shop/web: another program has port 8080 of 10.0.0.1 on web1: hullmark ports --host web1"
    )
    lines = run("services", "shop/web", "--no-traffic").out.splitlines()
    assert "    not answered by web1: python3 has port 8080 of 10.0.0.1" in lines


def test_a_published_port_that_a_policy_forbids_or_nobody_answers(
    master: FakeMaster, run: Run
) -> None:
    spot = Spot("web1", "10.0.0.1", 8080, 1)
    barred = Published(8080, 80, silent=("web1: its policy does not allow it",), barred=(spot,))
    idle = Published(8081, 80)
    reach = dataclasses.replace(PLAIN, published=(barred, idle))
    master.answers[PATH] = ServiceList((reach,))
    done = run("services", "--no-traffic")
    assert done.code == 1
    assert done.out.splitlines()[-2:] == [
        "shop/web: the policy of web1 does not allow port 8080: hullmark policy show web1",
        "shop/web: no host answers port 8081: hullmark why shop/web",
    ]
    for each in (barred, idle):
        master.answers[PATH] = ServiceList((dataclasses.replace(PLAIN, published=(each,)),))
        assert run("services", "--no-traffic").code == 1


def test_an_instance_that_its_own_hosts_proxy_does_not_reach(master: FakeMaster, run: Run) -> None:
    down = (Down("shop.web.1.g1", "L4CON"),)
    ports = (PortTraffic(WEB, 80, members=1, down=down), PortTraffic(WEB, 81, members=1, down=down))
    master.answers[PATH] = ServiceList((PLAIN,), True, (HostTraffic("web1", ports),))
    done = run("services")
    assert done.code == 1
    assert "  1 of 1, 1 not reached  " in done.out
    assert done.out.splitlines()[-1].startswith("not reached: ")
    assert done.out.splitlines()[-1].endswith("hullmark why shop/web")
    assert run("services", "shop/web").out.splitlines()[1] == "  1 of 1 healthy, 1 not reached"
    other = HostTraffic("web2", (PortTraffic(WEB, 80, up=1, members=1),))
    master.answers[PATH] = ServiceList((PLAIN,), True, (other,))
    assert run("services").code == 0


def test_a_host_that_only_refuses_is_a_line_once_it_has_refused(
    master: FakeMaster, run: Run
) -> None:
    idle, refusing = (
        HostTraffic(host, (PortTraffic(API, 80, connections=count, refused=count),))
        for host, count in (("web4", 0), ("web5", 3))
    )
    master.answers[PATH] = ServiceList((REACH,), True, (*TRAFFIC, idle, refusing))
    rows = [line.split() for line in run("services", "shop/api").out.splitlines()[-4:-1]]
    assert [row[0] for row in rows] == ["web1", "web3", "web5"]
    assert rows[-1][2:5] == ["0", "of", "0"]
    assert "web4" not in run("services", "shop/api").out
    assert run("services").code == 0


def test_one_service_with_all_that_is_known(master: FakeMaster, run: Run) -> None:
    master.answers[PATH] = ServiceList((REACH,), True, TRAFFIC)
    done = run("services", "shop/api")
    assert done.out == (
        "shop/api  10.214.0.2, ports 80, 443\n"
        "  2 of 2 healthy\n"
        "    1 of 1 on web1\n"
        "    1 of 1 on web2, silent\n"
        "  published: 8080/tcp to 80, answered by web1 (10.0.0.1:8080), web3 (10.0.0.3:8080)\n"
        "    whether web2 answers it is not known: silent\n"
        "  published: 53/udp to 53, answered by web1 (10.0.0.1:53)\n"
        "  used by edge/lb\n"
        "  uses shop/db\n"
        "HOST  PORT  UP      OPEN  TOTAL  QUEUE  RETRIES  ERRORS  REFUSED  IN       OUT\n"
        "web1  80    1 of 2  2     40     3 ms   2        2       5        2.0 KiB  3.0 MiB\n"
        "web3  80    1 of 2  1     2      9 ms   0        0       0        0 B      0 B\n"
        "  web3 gets no answer of web2 on port 80: nothing comes back: a firewall drops it, or there is no route\n"
    )
    (request,) = master.requests
    assert request.query == {"app": "shop", "service": "api", "traffic": "true"}


def test_what_is_to_be_known_of_its_instances(master: FakeMaster, run: Run) -> None:
    noted = dataclasses.replace(PLAIN, notes=("shop/web.1 on web3 knows no names",))
    master.answers[PATH] = ServiceList((noted,), True)
    assert "\n  shop/web.1 on web3 knows no names\n" in run("services", "shop/web").out


def test_one_without_an_address(master: FakeMaster, run: Run) -> None:
    master.answers[PATH] = ServiceList((PLAIN,), True)
    assert "no address: no TCP port of it is known" in run("services", "shop/web").out


def test_what_is_not_there(master: FakeMaster, run: Run) -> None:
    master.answers[PATH] = ServiceList()
    done = run("services", "shop/none")
    assert (done.code, done.out) == (2, "")
    assert "no such service: shop/none" in done.err
    done = run("services")
    assert (done.code, done.out) == (0, "there are no services: hullmark apply\n")


@pytest.mark.parametrize(
    ("form", "line"),
    [
        ("hosts", "10.0.0.1\tapi.shop"),
        ("haproxy", "    server web3 10.0.0.3:8080 check backup"),
    ],
)
def test_what_load_balancers_need(master: FakeMaster, run: Run, form: str, line: str) -> None:
    master.answers[PATH] = ServiceList((REACH, PLAIN))
    done = run("services", "--format", form)
    assert done.code == 0
    assert line in done.out.splitlines()
    assert "traffic" not in master.requests[0].query


def test_json(master: FakeMaster, run: Run) -> None:
    master.answers[PATH] = ServiceList((REACH,), True, TRAFFIC)
    found = run("services", "--output", "json").document
    assert found["schema"] == "hullmark.services/1"
    assert found["services"][0]["name"] == {"app": "shop", "service": "api"}
    assert found["traffic"][1]["ports"][0]["down"] == [{"member": "web2", "why": "L4TOUT"}]
    form = json.loads(run("services", "--format", "json").out)
    assert form["schema"] == "hullmark.endpoints/1"
    done = run("services", "--format", "json", "--output", "json")
    assert done.code == 64
