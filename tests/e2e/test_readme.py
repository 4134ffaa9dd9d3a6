"""The README's "Set up by hand", pasted as it stands."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.apps import SLEEPER
from tests.e2e.conftest import IMAGE
from tests.integration.engines import Engine

CHECKOUT = Path(__file__).resolve().parents[2]
SOCKETS = {"docker": "/run/docker.sock", "podman": "/run/podman/podman.sock"}
# Its own /run, /var/lib and /etc/hullmark, so that the standard paths are free.
SURROUNDINGS = """\
set -eux
mount -t tmpfs none /var/lib
mount -t tmpfs none /run
mkdir -p $(dirname {socket}) && ln -s {engine} {socket}
[ ! -e /etc/hullmark ]
set +e
"""
AFTERWARDS = """\
set -e
hullmark status || [ $? = 1 ]    # what guards this machine may fail
hullmark apply {app}
hullmark ps
hullmark rm sleeper
kill $(jobs -p)
wait
"""


def block() -> str:
    """The commands, without those that make the checkout's environment, which is there."""
    section = (CHECKOUT / "README.md").read_text().partition("## Set up by hand")[2]
    found = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert found is not None
    lines = found[1].splitlines()
    assert lines[0].startswith("make setup")
    assert lines[1].startswith("export PATH=")
    return "\n".join(lines[2:])


@pytest.mark.timeout(120)
def test_set_up_by_hand(clean_engine: Engine, tmp_path: Path) -> None:
    engine = clean_engine
    engine.load_image(IMAGE)
    app = tmp_path / "app.yaml"
    app.write_text(SLEEPER.format(name="sleeper", image=IMAGE, pull="never", round=1, replicas=2))
    before = SURROUNDINGS.format(
        socket=SOCKETS[engine.name], engine=engine.socket[len("unix://") :]
    )
    script = "\n".join([before, block(), AFTERWARDS.format(app=app)])
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    process = subprocess.Popen(
        ["unshare", "--mount", "bash", "-c", script],
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=tmp_path,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=100)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, output
    assert "sleeper/s.2" in output
