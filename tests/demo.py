"""`make demo`: a Compose app under Hullmark on this machine, from nothing, with nothing left behind.

Uses the Docker engine that runs here; without one it starts a private one. On a terminal it stops with the
cluster up and says what to try; Enter ends it.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Optional

import docker
import docker.errors

from tests.cluster import OneHostCluster, wait_until
from tests.integration import engines

ROOT = Path(__file__).resolve().parent.parent
COMPOSE_FILE = "examples/hello/compose.yaml"
IMAGE = "localhost/hullmark-hello:1"
APP = "hello"
SYSTEM_SOCKETS = ("/run/docker.sock", "/var/run/docker.sock")

_begin = time.monotonic()


def say(text: str) -> None:
    print(f"[{time.monotonic() - _begin:5.1f} s] {text}", flush=True)


def show(cluster: OneHostCluster, *arguments: str) -> None:
    """Run a command of the CLI with its output in view, as a person would."""
    print(f"\n  $ hullmark {' '.join(arguments)}", flush=True)
    environment = {**os.environ, "HULLMARK_MASTER": cluster.master_socket}
    done = subprocess.run(cluster.command(*arguments), env=environment, cwd=ROOT, check=False)
    print(flush=True)
    if done.returncode != 0:
        raise SystemExit(f"demo: hullmark {arguments[0]} ended with {done.returncode}")


def running_socket() -> str:
    """The socket of a Docker engine that answers on this machine, or nothing."""
    for path in SYSTEM_SOCKETS:
        if Path(path).is_socket():
            client = docker.APIClient(base_url=f"unix://{path}", timeout=5)
            with contextlib.suppress(docker.errors.DockerException, OSError):
                client.ping()
                return f"unix://{path}"
    return ""


@contextlib.contextmanager
def an_engine(folder: Path) -> Iterator[str]:
    """The socket of the engine that runs here, or of a private one for the time of the demo."""
    found = running_socket()
    if found:
        say(f"engine: Docker answers at {found}; using it")
        yield found
        return
    say("engine: none runs here; starting a private dockerd")
    with engines.docker_engine(folder) as engine:
        yield engine.socket


def container_pids(cluster: OneHostCluster) -> dict[str, int]:
    """Process ids of the running containers, by name."""
    return {
        name: int(found["State"]["Pid"])
        for name, found in cluster.containers().items()
        if found["State"]["Running"]
    }


def fetch(port: int) -> Optional[str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=3) as answer:
            return str(answer.read().decode().strip())
    except (urllib.error.URLError, OSError):
        return None


def published_ports(cluster: OneHostCluster) -> list[int]:
    return [int(one["status"]["ports"][0]["published"]) for one in cluster.instances(APP)]


def fetch_all(ports: list[int]) -> None:
    """Fetch each instance over HTTP by its published port, and print the answers."""
    for port in ports:
        answer = wait_until(functools.partial(fetch, port), f"port {port} answers", 10)
        print(f"  http://127.0.0.1:{port}/  ->  {answer}", flush=True)


def all_serving(cluster: OneHostCluster) -> bool:
    summary: dict[str, Any] = cluster.json("apps")["apps"][0]
    return summary["state"] == "running"


def crash_and_return(cluster: OneHostCluster) -> None:
    before = container_pids(cluster)
    name, pid = sorted(before.items())[0]
    say(f"killing the process of {name} (pid {pid}) ...")
    os.kill(pid, signal.SIGKILL)
    after = wait_until(
        lambda: (now := container_pids(cluster)).get(name, pid) != pid and now,
        f"{name} runs again",
    )
    wait_until(lambda: all_serving(cluster), "all instances serve again")
    say(f"{name} is back: pid {after[name]}")


def lose_daemons(cluster: OneHostCluster) -> None:
    before, ports = container_pids(cluster), published_ports(cluster)
    say("killing the agent and the master (SIGKILL) ...")
    cluster.agent.kill()
    cluster.master.kill()
    say("nobody of Hullmark's is there; fetching each instance again")
    fetch_all(ports)
    cluster.master.start()
    cluster.wait_for_master()
    cluster.agent.start()
    cluster.wait_for_host()
    wait_until(lambda: all_serving(cluster), "the new leader sees all instances serving")
    if container_pids(cluster) != before:
        raise SystemExit("demo: a container was restarted by the loss of the daemons")
    say("both are back; no container stopped or was restarted: same process ids")


def wait_for_enter(cluster: OneHostCluster) -> None:
    command = cluster.command()[0]
    print(
        "\nThe cluster is up. In another terminal, try:\n\n"
        f"  export HULLMARK_MASTER={cluster.master_socket} PATH=$PATH:{Path(command).parent}\n"
        "  hullmark status\n"
        "  hullmark ps\n"
        "  hullmark scale hello/web=5\n"
        "  hullmark logs -f hello\n"
        "  hullmark events\n\n"
        "Press Enter to end the demo and remove everything that it made.",
        flush=True,
    )
    with contextlib.suppress(EOFError):
        input()


def run(folder: Path) -> None:
    with an_engine(folder / "engine") as socket:
        say(f"image: making {IMAGE} from this machine's static busybox")
        engines.load_image(socket, IMAGE)
        say("starting a master with the embedded store; enrolling this host; starting its agent")
        with OneHostCluster(folder / "cluster", socket) as cluster:
            try:
                show(cluster, "apply", "--wait", COMPOSE_FILE)
                show(cluster, "ps", APP)
                say("fetching each instance over HTTP")
                fetch_all(published_ports(cluster))
                crash_and_return(cluster)
                lose_daemons(cluster)
                show(cluster, "status")
                if sys.stdin.isatty():
                    wait_for_enter(cluster)
                show(cluster, "rm", "--wait", APP)
            finally:
                cluster.stop()
                cluster.remove_containers()
                remove_image(socket)
    say("everything that the demo started is gone")


def remove_image(socket: str) -> None:
    client = docker.APIClient(base_url=socket, timeout=60)
    with contextlib.suppress(docker.errors.APIError):
        client.remove_image(IMAGE)
    client.close()


def interrupt(number: int, frame: Optional[FrameType]) -> None:
    raise KeyboardInterrupt


def main() -> int:
    signal.signal(signal.SIGTERM, interrupt)
    folder = Path(tempfile.mkdtemp(prefix="hm-demo-"))
    try:
        run(folder)
    except KeyboardInterrupt:
        print("demo: interrupted; everything that it started is gone", file=sys.stderr)
        return 130
    except AssertionError as error:
        print(f"demo: failed: {error}", file=sys.stderr)
        for log in sorted(folder.glob("cluster/*.log")):
            print(f"--- {log.name}\n{log.read_text()[-3000:]}", file=sys.stderr)
        return 2
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print("demo: ok", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
