"""The command that tests look with is the one that users run."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster import wait_until
from tests.warmcommand import WarmCommand

COMMAND = str(Path(sys.executable).parent / "hullmark")


@pytest.mark.parametrize(
    "arguments",
    [
        ("version", "--output", "json"),
        ("validate", "compose.yaml"),
        ("validate", "nosuch.yaml", "--output", "json"),
        ("apps", "--nosuch"),
        ("status",),
    ],
    ids=" ".join,
)
def test_it_answers_as_the_command_does(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("compose.yaml").write_text("services: {web: {image: 'web:1'}}\n")
    environment = {**os.environ, "NO_COLOR": "1", "HULLMARK_MASTER": f"unix://{tmp_path}/none"}
    real = subprocess.run(
        [COMMAND, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    with contextlib.closing(WarmCommand()) as command:
        warm = command.run(arguments, environment, 20.0)
    assert (warm.returncode, warm.stdout, warm.stderr) == (
        real.returncode,
        real.stdout,
        real.stderr,
    )


def test_a_call_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    """Its connection is closed, so its process is gone; the next call is answered."""
    place = tmp_path / "m.sock"
    environment = {**os.environ, "HULLMARK_MASTER": f"unix://{place}"}
    with contextlib.closing(WarmCommand()) as warm:
        assert warm.run(["version"], environment, 20.0).returncode == 0
        with socket.socket(socket.AF_UNIX) as deaf:
            deaf.bind(str(place))
            deaf.listen()
            with pytest.raises(subprocess.TimeoutExpired):
                warm.run(["apps"], environment, 1.0)
            connection, _ = deaf.accept()
            connection.settimeout(10.0)
            with connection:
                wait_until(lambda: not connection.recv(1000), "its end is closed", 10.0)
        assert warm.run(["version"], environment, 20.0).returncode == 0
