"""Where masters are reached is no service's."""

from __future__ import annotations

import socket
from pathlib import Path

from hullmark.masterd.masterplaces import of_all
from hullmark.masterd.settings import Settings
from hullmark.model.records import MasterRecord
from tests.unit.masterd.serving import Served, apply_body, serve


def test_this_master_is_where_it_says_now_and_others_as_they_wrote() -> None:
    settings = Settings(
        agents_urls=("https://192.0.2.1:7441",), api_urls=("https://[2001:db8::1]:7442",)
    )
    written = {
        "m1": MasterRecord("m1", "r", "0.7", ("https://192.0.2.9:1",), (), 1.0),
        "m2": MasterRecord("m2", "r", "0.7", (), ("https://m2.example.com:7442",), 1.0),
    }
    assert of_all("m1", settings, written) == {
        "m1": (("192.0.2.1", 7441), ("2001:db8::1", 7442)),
        "m2": (("m2.example.com", 7442),),
    }


def test_a_masters_port_is_refused_on_its_own_host(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        host = await served.enroll()
        await host.begin(addresses=("127.0.0.1",))
        for number, status in ((served.agents_port, 400), (served.api_port, 400), (9, 200)):
            port = {"target": 80, "published_first": number, "published_last": number}
            web = {
                "container": {"image": "web:1", "pull_policy": "never"},
                "ports": [{**port, "mode": "host"}],
            }
            body = apply_body(f"r{number}", app={"name": "shop", "services": {"web": web}})
            said, found = await served.local("PUT", "/v1/apps/shop", body)
            assert said == status, found
            if status == 400:
                assert f"port {number}/tcp is master m1's on host h1" in str(found)
                assert (await served.local("POST", "/v1/plan", body))[0] == 400

    # Its own configuration says where it is reached, so chance may not choose its ports.
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as two,
    ):
        ports = [each.getsockname()[1] for each in (one, two)]
    places = {"agents_listen": f"127.0.0.1:{ports[0]}", "api_listen": f"127.0.0.1:{ports[1]}"}
    serve(tmp_path, test, **places)
