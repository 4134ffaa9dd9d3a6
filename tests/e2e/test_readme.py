"""The README's "Set up by hand", pasted as it stands, and what takes it away again."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import free_port
from tests.e2e.conftest import IMAGE
from tests.integration.engines import Engine
from tests.proxy import remove_addresses

CHECKOUT = Path(__file__).resolve().parents[2]
SOCKETS = {"docker": "/run/docker.sock", "podman": "/run/podman/podman.sock"}
# Its own /run and /var/log, and no /etc/hullmark, so that the standard paths are free.
SURROUNDINGS = """\
set -eux
mount -t tmpfs none /run
mount -t tmpfs none /var/log
mkdir -p $(dirname {socket}) && ln -s {engine} {socket}
[ ! -e /etc/hullmark ]
set +e
"""
# It is well once it reaches the other by its name.
APP = """\
name: shop
services:
  web:
    image: {image}
    pull_policy: never
    ports: ["{port}:8080"]
    deploy: {{replicas: 2}}
  asker:
    image: {image}
    pull_policy: never
    x-hullmark: {{uses: [web]}}
    healthcheck:
      test: [CMD, wget, -q, -O, /dev/null, "http://web:8080/cgi-bin/env"]
      interval: 1s
      timeout: 2s
      retries: 20
"""
AFTERWARDS = """\
set -e
hullmark status || [ $? = 1 ]    # what guards this machine may fail
hullmark apply {app}
hullmark ps
wget -q -O - http://127.0.0.1:{port}/cgi-bin/env
hullmark status | grep hullmark-proxy && exit 1
hullmark rm shop
hullmark apply {app}             # it leaves addresses
set +e
{taken_away}
set -e
ip -4 address show dev lo | grep 10.214 && exit 1
for folder in /var/lib /var/log /run; do ls $folder | grep hullmark && exit 1; done
echo all is gone
"""


def block() -> str:
    """The commands, without those that make the checkout's environment, which is there."""
    section = (CHECKOUT / "README.md").read_text().partition("## Set up by hand")[2]
    found = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert found is not None
    lines = found[1].splitlines()
    assert lines[0].startswith("make setup")
    assert lines[1].startswith("export PATH=")
    assert lines[2].startswith("apt-get install -y haproxy iproute2 ")
    return "\n".join(lines[3:])


def taken_away() -> str:
    text = (CHECKOUT / "docs" / "operations" / "installing.md").read_text()
    found = re.search(
        r"```sh\n(.*?)```", text.partition("### What was set up by hand")[2], re.DOTALL
    )
    assert found is not None
    return found[1]


@pytest.fixture
def empty_state(clean_engine: Engine) -> Iterator[None]:
    """An empty /var/lib where the engine sees it, too: containers have files from there. The machine's own stays as it is."""
    subprocess.run(["mount", "-t", "tmpfs", "none", "/var/lib"], check=True)
    # Also where this run is killed: its end of the pipe is closed then.
    unmounts = ["sh", "-c", "cat; exec umount --lazy /var/lib"]
    after = subprocess.Popen(unmounts, stdin=subprocess.PIPE, start_new_session=True)
    try:
        yield
    finally:
        after.communicate()
    assert after.returncode == 0


@pytest.mark.timeout(180)
@pytest.mark.usefixtures("empty_state")
def test_set_up_by_hand(clean_engine: Engine, tmp_path: Path) -> None:
    engine = clean_engine
    engine.load_image(IMAGE)
    app = tmp_path / "app.yaml"
    port = free_port()
    app.write_text(APP.format(image=IMAGE, port=port))
    before = SURROUNDINGS.format(
        socket=SOCKETS[engine.name], engine=engine.socket[len("unix://") :]
    )
    script = "\n".join(
        [before, block(), AFTERWARDS.format(app=app, port=port, taken_away=taken_away())]
    )
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    said = (tmp_path / "output").open("w+")
    process = subprocess.Popen(
        ["unshare", "--mount", "bash", "-c", script],
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        stdout=said,
        stderr=subprocess.STDOUT,
        cwd=CHECKOUT,
        start_new_session=True,
    )
    try:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=150)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        remove_addresses()
    with said:
        said.seek(0)
        output = said.read()
    assert process.wait() == 0, output
    assert "shop/web.2" in output
    assert "SERVER_SOFTWARE=" in output, "the published port answers"
    assert output.endswith("\nall is gone\n")
