"""`hullmark services`"""

from __future__ import annotations

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
PLAIN = ServiceReach(WEB, why_no_address="no port of it is known", wanted=1, serving=1)
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
        "SERVICE   ADDRESS     PORTS   HEALTHY  PUBLISHED                                 OPEN  TOTAL  QUEUE  RETRIES  ERRORS  REFUSED  HOSTS\n"
        "shop/api  10.214.0.2  80,443  2 of 2   8080 on 2 hosts, 53/udp (host) on 1 host  3     42     9 ms   2        2       5        web1, web2\n"
        "shop/web  -           -       1 of 1   -                                         -     -      -      -        -       -        -\n"
        "shop/job  -           -       0 of 1   -                                         -     -      -      -        -       -        -\n"
    )
    (request,) = master.requests
    assert request.query == {"traffic": "true"}


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


def test_one_service_with_all_that_is_known(master: FakeMaster, run: Run) -> None:
    master.answers[PATH] = ServiceList((REACH,), True, TRAFFIC)
    done = run("services", "shop/api")
    assert done.out == (
        "shop/api  10.214.0.2, ports 80, 443\n"
        "  2 of 2 healthy\n"
        "    1 of 1 on web1\n"
        "    1 of 1 on web2, silent\n"
        "  published: 8080/tcp to 80, answered by web1 (10.0.0.1:8080), web3 (10.0.0.3:8080)\n"
        "    not answered by web2: silent\n"
        "  published: 53/udp to 53, answered by web1 (10.0.0.1:53)\n"
        "  used by edge/lb\n"
        "  uses shop/db\n"
        "HOST  PORT  UP      OPEN  TOTAL  QUEUE  RETRIES  ERRORS  REFUSED  IN       OUT\n"
        "web1  80    1 of 2  2     40     3 ms   2        2       5        2.0 KiB  3.0 MiB\n"
        "web3  80    1 of 2  1     2      9 ms   0        0       0        0 B      0 B\n"
        "  web3 gets no answer of web2 on port 80: L4TOUT\n"
    )
    (request,) = master.requests
    assert request.query == {"app": "shop", "service": "api", "traffic": "true"}


def test_one_without_an_address(master: FakeMaster, run: Run) -> None:
    master.answers[PATH] = ServiceList((PLAIN,), True)
    assert "no address: no port of it is known" in run("services", "shop/web").out


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
