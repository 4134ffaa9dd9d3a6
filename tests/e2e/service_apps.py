"""Apps whose services reach each other by name, and what a test wants to know of that."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests import reach, server
from tests.cluster import wait_until
from tests.e2e.fleet_apps import SERVICE, by_host
from tests.fleet import Container, Fleet
from tests.integration.engines import run_inside

# As somebody wrote it who has never heard of Hullmark: three services, two networks, names and nothing else.
NOTES = """\
name: notes
services:
  web:
    image: localhost/notes-web:1
    ports: ["{port}:8080"]
    depends_on: [api]
    networks: [front]
  api:
    image: localhost/notes-api:1
    environment: {{DATABASE: "db 5432"}}
    networks: [front, back]
    depends_on: [db]
  db:
    image: localhost/notes-db:1
    networks:
      back: {{aliases: [database]}}
networks:
  front: {{}}
  back: {{internal: true}}
"""
# What a shop adds to run it here: where each of them is to be.
SPREAD = """\
services:
{services}"""
PLACED = """\
  {service}:
    pull_policy: never
    stop_grace_period: 1s
    deploy: {{placement: {{constraints: [node.hostname == {host}]}}}}
"""
CGI = "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\n"
NOTES_IMAGES: Mapping[str, tuple[Mapping[str, Any], Mapping[str, str]]] = {
    "web": (
        {},
        {
            "/www/cgi-bin/notes": f'{CGI}echo "web $(hostname)"; wget -q -O - http://api:8000/cgi-bin/notes\n'
        },
    ),
    "api": (
        {"Env": ["PATH=/bin", "PORT=8000"], "ExposedPorts": {"8000/tcp": {}}},
        {"/www/cgi-bin/notes": f'{CGI}echo "api $(hostname)"; echo list | nc $DATABASE\n'},
    ),
    "db": (
        {"Cmd": ["/bin/db"], "ExposedPorts": {"5432/tcp": {}}},
        {
            "/bin/db": "#!/bin/sh\nexec nc -ll -p 5432 -e /bin/answer\n",
            "/bin/answer": '#!/bin/sh\nread what\necho "db $(hostname) has $what"\n',
        },
    ),
}

SERVER = f"""\
    image: {server.IMAGE}
    pull_policy: never
    expose: ["{server.PORT}"]
    stop_grace_period: 2s
"""


def serving(name: str, *, more: str = "", number: int = 1, deploy: str = "replicas: 1") -> str:
    """A service whose containers answer HTTP. `more`: lines of the service; `deploy`: what stands in its `deploy`."""
    environment = f"    environment: {{ROUND: '{number}'}}\n"
    return f"  {name}:\n{SERVER}{environment}{more}    deploy: {{{deploy}}}\n"


def calling(name: str, host: str, more: str = "") -> str:
    """A service with one container that only waits, for what a test has it do."""
    placed = f"    deploy: {{placement: {{constraints: [node.hostname == {host}]}}}}\n"
    return f"  {name}:\n{SERVICE}{more}{placed}"


def load_notes(fleet: Fleet) -> None:
    """The images of the app `notes`, into each engine."""
    for host in fleet.hosts.values():
        for service, (config, files) in NOTES_IMAGES.items():
            content = {path: text.encode() for path, text in files.items()}
            host.engine.load_image(f"localhost/notes-{service}:1", config, content)


def apply_notes(fleet: Fleet, port: int, homes: Mapping[str, str]) -> None:
    """`homes`: the host of each service."""
    app, spread = fleet.folder / "notes.yaml", fleet.folder / "notes-spread.yaml"
    app.write_text(NOTES.format(port=port))
    placed = (PLACED.format(service=service, host=host) for service, host in homes.items())
    spread.write_text(SPREAD.format(services="".join(placed)))
    fleet.hullmark("apply", "--wait", str(app), str(spread))
    for service, host in homes.items():
        assert by_host(fleet, "notes", service)[host] == [f"notes/{service}.1"]


def inside(container: Container) -> list[str]:
    """Before a command: run it in the network namespace of a container, as a process in it would."""
    return ["nsenter", f"--net=/proc/{container.inspected['State']['Pid']}/ns/net", "--"]


def names(container: Container) -> dict[str, str]:
    """Addresses by name, as the container's own hosts file has them."""
    path = Path(f"/proc/{container.inspected['State']['Pid']}/root/etc/hosts")
    found: dict[str, str] = {}
    for line in path.read_text().splitlines():
        words = line.partition("#")[0].split()
        for name in words[1:]:
            found.setdefault(name, words[0])
    return found


def one(fleet: Fleet, app: str, service: str, host: str = "") -> Container:
    """A running container of a service."""
    found = [each for each in fleet.running(app, host) if each.label("service") == service]
    assert found, f"{app}/{service} does not run {f'on {host}' if host else 'anywhere'}"
    return found[0]


def sh(fleet: Fleet, container: Container, script: str) -> str:
    """What a script says in a container; nothing where it failed."""
    socket = fleet.hosts[container.host].engine.socket
    code, output = run_inside(socket, container.inspected["Id"], script)
    return output.strip() if code == 0 else ""


def wait_for_service(caller: Container, name: str, port: int, timeout_s: float = 20.0) -> str:
    """Until a service answers a container that asks for it by name; its address."""

    def answers() -> str:
        address = names(caller).get(name, "")
        found = reach.ask(inside(caller), [(address, port)]) if address else {}
        return address if found.get((address, port)) == reach.ANSWERED else ""

    return str(
        wait_until(answers, f"{name}:{port} answers {caller.slot} on {caller.host}", timeout_s)
    )
