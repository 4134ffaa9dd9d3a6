"""A booted host leaves its cluster: its engine brings the containers back, also after a boot and without the packages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.cluster import wait_until
from tests.hosts import Bed
from tests.packaging.test_lifecycle import Life, enroll, install, run_an_app

PAIRS = [
    ("bookworm", "docker"),
    pytest.param(("trixie", "podman"), marks=pytest.mark.full),
    pytest.param(("bookworm-sysvinit", "docker"), marks=pytest.mark.full),
    pytest.param(("noble", "docker"), marks=pytest.mark.ubuntu),
    pytest.param(("resolute", "podman"), marks=pytest.mark.ubuntu),
]
FOLDER = "/root/hullmark-eject"


@pytest.fixture(params=PAIRS, ids="-".join)
def life(request: pytest.FixtureRequest) -> Iterator[Life]:
    image, engine = request.param
    with Bed() as bed, ThreadPoolExecutor(2) as pool:
        master = pool.submit(bed.host, "m1", image)
        web = pool.submit(bed.host, "web1", image, engine)
        made = Life(master.result(), web.result())
        install(made)
        enroll(made)
        run_an_app(made)
        yield made


@pytest.mark.timeout(300)
def test_an_ejected_host_needs_nothing_of_ours(life: Life) -> None:
    web, lives = life.web, life.lives()
    assert life.agents()
    done = json.loads(web.run(["hullmark", "eject", "--output", "json"]).stdout)
    assert done["changed"]
    assert done["folder"] == FOLDER
    assert life.agents() == []
    assert life.lives() == lives
    assert web.run(f"stat -c %a {FOLDER} {FOLDER}/shop/compose.yaml").stdout.split() == [
        "700",
        "600",
    ]
    if life.web.engine == "podman":
        assert any("podman-restart.service" in note for note in done["notes"])
        web.run(["systemctl", "enable", "podman-restart.service"])

    web.run(["service", "hullmark-agent", "start"], check=False)
    assert life.agents() == [], "it has left its cluster, so nothing starts"
    _, pid, _ = next(iter(lives.values()))
    web.run(["kill", "-9", str(pid)])
    wait_until(lambda: len(life.lives()) == 3 and life.lives() != lives, "the engine starts it")
    assert life.agents() == [], "nothing has brought it back"

    web.reboot()
    wait_until(lambda: len(life.lives()) == 3, "the engine starts all of them", 60.0)
    wait_until(life.serves, "the app answers", 60.0)
    assert life.agents() == []
    before = life.lives()
    web.apt("purge", "hullmark-agent", "hullmark", "hullmark-proxy")
    assert life.lives() == before
    assert life.serves()
    assert web.path(f"{FOLDER}/shop/compose.yaml").is_file()
