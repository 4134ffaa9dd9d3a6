"""`make demo`: a Compose app under Hullmark on this machine, and what is proven of its security tools, from nothing, with nothing left behind.

Uses the Docker engine that runs here; without one it starts a private one. On a terminal it stops with the
cluster up and says what to try; Enter ends it.
"""

from __future__ import annotations

import contextlib
import functools
import json
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

from tests.cluster import OneHostCluster, free_port, wait_until
from tests.controls import own_controls
from tests.e2e.alertreceivers import Hook
from tests.integration import engines
from tests.proxy import Proxy
from tests.sdk import api_client

ROOT = Path(__file__).resolve().parent.parent
COMPOSE_FILE = "examples/hello/compose.yaml"
IMAGE = "localhost/hullmark-hello:1"
APP = "hello"
# What an instance of one service says of the other, which it knows by name only.
ASK = b"""\
#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n'
address=$(sed -n 's/^\\([0-9.]*\\).*[[:space:]]greeter\\([[:space:]].*\\)*$/\\1/p' /etc/hosts)
echo "$(hostname) asked greeter at $address, where $(wget -q -O - http://greeter:8080/) answered"
"""
NOTICE = "demo-notice"
WELL = "all is well"
CONTROL = f"""\
controls:
  - id: {NOTICE}
    function: site-demo
    title: The notice of the demo
    rationale: It stands for a security tool that one can break and mend.
    remediation: write it again
    checks:
      - id: says
        kind: file_content
        path: {{path}}
        must_match: "^{WELL}$"
        interval: 1s
        timeout: 1s
"""
LOOKS_S = 12.0
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
CURSOR = "\x1b[?25h"
"""Shows it again (DECTCEM, see console_codes(4)): a command that was ended while it drew had hidden it."""
SYSTEM_SOCKETS = ("/run/docker.sock", "/var/run/docker.sock")

_begin = time.monotonic()


def say(text: str) -> None:
    print(f"[{time.monotonic() - _begin:5.1f} s] {text}", flush=True)


def show(cluster: OneHostCluster, *arguments: str, codes: tuple[int, ...] = (0,)) -> None:
    """Run a command of the CLI with its output in view, as a person would. `codes` are the exit codes that are right. Ctrl-C is for
    the demo alone, which then ends the command: it would say that its change goes on, or that no master answers."""
    print(f"\n  $ hullmark {' '.join(arguments)}", flush=True)
    environment = {**os.environ, "HULLMARK_MASTER": cluster.master_socket}
    words = cluster.command(*arguments)
    done = subprocess.run(words, env=environment, cwd=ROOT, check=False, start_new_session=True)
    print(flush=True)
    if done.returncode not in codes:
        raise SystemExit(f"demo: hullmark {arguments[0]} ended with {done.returncode}")


def running_socket() -> str:
    """The socket of a Docker engine that answers on this machine, or nothing."""
    for path in SYSTEM_SOCKETS:
        if Path(path).is_socket():
            client = api_client(f"unix://{path}", 5)
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


def fetch(port: int, path: str = "") -> str:
    """What the published port says; nothing where it doesn't answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=3) as answer:
            return str(answer.read().decode().strip())
    except (urllib.error.URLError, OSError):
        return ""


def fetch_all(cluster: OneHostCluster, port: int) -> None:
    """Fetch from the published port until each instance has answered, and have one ask the other service."""
    wanted = {name.partition(".g")[0] for name in container_pids(cluster) if ".web." in name}
    seen: dict[str, str] = {}

    def everybody() -> bool:
        answer = fetch(port)
        if answer and answer not in seen:
            seen[answer] = answer
            print(f"  http://127.0.0.1:{port}/  ->  {answer}", flush=True)
        return len(seen) >= len(wanted)

    wait_until(everybody, f"port {port} answers for all instances", 20)
    said = wait_until(functools.partial(fetch, port, "cgi-bin/ask"), "one service asks another", 10)
    print(f"  http://127.0.0.1:{port}/cgi-bin/ask  ->  {said}", flush=True)


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


def lose_daemons(cluster: OneHostCluster, port: int) -> None:
    before = container_pids(cluster)
    say("killing the agent and the master (SIGKILL) ...")
    cluster.agent.kill()
    cluster.master.kill()
    say("only HAProxy is there; fetching from each instance again")
    fetch_all(cluster, port)
    cluster.master.start()
    cluster.wait_for_master()
    cluster.agent.start()
    cluster.wait_for_host()
    wait_until(lambda: all_serving(cluster), "the new leader sees all instances serving")
    if container_pids(cluster) != before:
        raise SystemExit("demo: a container was restarted by the loss of the daemons")
    say("both are back; no container stopped or was restarted: same process ids")


class Notice:
    """A file of the demo that a control of its own looks at."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notice"

    def say(self, words: str) -> None:
        self.path.write_text(f"{words}\n")

    def controls(self, folder: Path) -> str:
        """The agent's configuration by which it looks at this, and at all that Hullmark ships controls for."""
        return own_controls(folder, CONTROL.format(path=self.path), shipped=True)


def posture(cluster: OneHostCluster) -> dict[str, Any]:
    """What the leader knows of the host's controls, by id."""
    done = cluster.run("controls", "--host", cluster.host, "--output", "json")
    found = json.loads(done.stdout)["controls"] if done.returncode in (0, 1) else []
    return {one["control_id"]: one for one in found}


def looked_at(cluster: OneHostCluster) -> bool:
    """All of it was looked at once; what waits for its time in the day is not waited for."""
    found = posture(cluster)
    waiting = [one for one in found.values() if one["reason"].endswith("not looked at yet")]
    return NOTICE in found and not waiting


def break_and_mend(cluster: OneHostCluster, folder: Path, hook: Hook) -> None:
    """What Hullmark is for: a control that fails is told of, and so is its end."""
    notice = Notice(folder)
    notice.say(WELL)
    say(
        "from now on the agent looks at this machine's own security tools, and at a file of the demo's"
    )
    config = cluster.agent_config.read_text()
    before = own_controls(cluster.folder / "agent-controls")
    cluster.agent_config.write_text(
        config.replace(before, notice.controls(cluster.folder / "demo-controls"))
    )
    os.kill(cluster.agent.pid, signal.SIGHUP)
    wait_until(lambda: NOTICE in posture(cluster), "the leader knows of the demo's control", 15)
    with contextlib.suppress(AssertionError):
        wait_until(lambda: looked_at(cluster), "all is looked at", LOOKS_S)
    show(cluster, "controls", "--host", cluster.host, codes=(0, 1))

    say("breaking what the demo's own control looks at ...")
    notice.say("nothing is")
    broken_at = time.monotonic()
    alert = wait_until(lambda: told(hook, "outage.began"), "the leader tells of it")
    say(f"alerted after {time.monotonic() - broken_at:.1f} s: {alert['host']}: {alert['reason']}")
    show(cluster, "outages", "list", codes=(0, 1))
    say("mending it ...")
    notice.say(WELL)
    wait_until(lambda: told(hook, "outage.recovered"), "the leader tells that it is over")
    show(cluster, "controls", NOTICE, "--host", cluster.host)


def told(hook: Hook, event: str) -> Optional[dict[str, Any]]:
    """The alert about the demo's control, once it has come."""
    of = (one for one in hook.got if (one["event"], one.get("control")) == (event, NOTICE))
    return next(of, None)


def wait_for_enter(cluster: OneHostCluster) -> None:
    command = cluster.command()[0]
    print(
        "\nThe cluster is up. In another terminal, try:\n\n"
        f"  export HULLMARK_MASTER={cluster.master_socket} PATH=$PATH:{Path(command).parent}\n"
        "  hullmark status\n"
        "  hullmark ps\n"
        "  hullmark services\n"
        "  hullmark why hello/greeter\n"
        "  hullmark scale hello/web=5\n"
        "  hullmark flows\n"
        "  hullmark controls\n"
        "  hullmark outages list\n"
        "  hullmark events\n\n"
        "Press Enter to end the demo and remove everything that it made.",
        flush=True,
    )
    with contextlib.suppress(EOFError):
        input()


def run(folder: Path) -> None:
    with an_engine(folder / "engine") as socket:
        say(f"image: making {IMAGE} from this machine's static busybox")
        engines.load_image(socket, IMAGE, files={"/www/cgi-bin/ask": ASK})
        say(
            "starting a proxy, and a master with the embedded store; enrolling this host; starting its agent"
        )
        hook = Hook()
        proxy = Proxy(port=free_port())
        cluster = OneHostCluster(folder / "cluster", socket, agent_options=proxy.agent_options)
        cluster.master_options = f"alerts: {{log: none, webhook: '{hook.url}'}}\n"
        port = free_port()
        os.environ["HELLO_PORT"] = str(port)
        with contextlib.closing(hook), proxy, cluster:
            try:
                show(cluster, "apply", "--wait", COMPOSE_FILE)
                show(cluster, "ps", APP)
                say("fetching from each instance over HTTP, by one published port")
                fetch_all(cluster, port)
                show(cluster, "services")
                show(cluster, "ports")
                crash_and_return(cluster)
                lose_daemons(cluster, port)
                show(cluster, "status")
                break_and_mend(cluster, folder, hook)
                if sys.stdin.isatty():
                    wait_for_enter(cluster)
                show(cluster, "rm", "--wait", APP)
            finally:
                cluster.stop()
                cluster.remove_containers()
                remove_image(socket)
    say("everything that the demo started is gone")


def remove_image(socket: str) -> None:
    client = api_client(socket)
    with contextlib.suppress(docker.errors.APIError):
        client.remove_image(IMAGE)
    client.close()


def interrupt(number: int, frame: Optional[FrameType]) -> None:
    """Once: a terminal that is closed sends several, and a second one would end what clears up."""
    for each in ENDS:
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def main() -> int:
    for each in ENDS:
        signal.signal(each, interrupt)
    folder = Path(tempfile.mkdtemp(prefix="hm-demo-"))
    try:
        run(folder)
    except KeyboardInterrupt:
        if sys.stderr.isatty():
            print(CURSOR, file=sys.stderr)
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
