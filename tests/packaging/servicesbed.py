"""Three booted hosts of three kinds, and on them an app of others' making whose services reach each other by name.

The app is the Compose file of a Nextcloud as people copy it: an application and its cron job, a database, a cache. Images of the same
names are made here: HAProxy as a web server, which answers each request by asking the database or the cache by name, over a connection of its
own and without trying again: what fails between services is seen outside.
"""

from __future__ import annotations

import contextlib
import json
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import server
from tests.cluster import containers_in, wait_until
from tests.hosts import Bed, Host
from tests.hosts.engines import SOCKETS
from tests.integration.daemon import load_image
from tests.integration.namespaces import HostNetwork
from tests.packaging.products import products
from tests.packaging.proxy import Proxy

PUBLIC = Path(__file__).parent.parent / "unit" / "compose" / "public" / "nextcloud.yaml"
APP = "nextcloud"
PORT = 8081
CLIENT = "192.0.2.99"
KINDS: Mapping[str, tuple[str, str]] = {
    "web1": ("bookworm", "docker"),
    "web2": ("bookworm-sysvinit", "podman"),
    "web3": ("trixie", "docker"),
}
"""The first is the master too."""
HOMES: Mapping[str, str] = {"app": "web1", "cron": "web1", "db": "web2", "redis": "web3"}
CALLED: Mapping[str, int] = {"db": 3306, "redis": 6379, "app": 80}
# What the shop adds: where each service is to be, a port that is open to others, and that images are here already.
ADDED = f"""\
services:
  app:
    pull_policy: never
    stop_grace_period: 1s
    ports: ["{PORT}:80"]
    deploy: {{placement: {{constraints: [node.hostname == web1]}}}}
  cron:
    pull_policy: never
    stop_grace_period: 1s
    deploy: {{placement: {{constraints: [node.hostname == web1]}}}}
  db:
    pull_policy: never
    stop_grace_period: 1s
    healthcheck: {{interval: 1s}}
    deploy: {{placement: {{constraints: [node.hostname == web2]}}}}
  redis:
    pull_policy: never
    stop_grace_period: 1s
    deploy: {{placement: {{constraints: [node.hostname == web3]}}}}
"""
DEFAULTS = """\
global
    maxconn 1000
defaults
    mode http
    retries 0
    backlog 1000
    timeout connect 9s
    timeout client 60s
    timeout server 60s
    http-reuse never
"""
ASKING = (
    DEFAULTS
    + """\
frontend web
    bind :80
    use_backend redis if { path /redis } or { rand(2) eq 0 } !{ path /db }
    default_backend db
backend db
    server db "${MYSQL_HOST}:3306"
backend redis
    server redis "${REDIS_HOST}:6379"
"""
)
ANSWERING = (
    DEFAULTS
    + """\
frontend all
    bind :{port}
    http-request return status 200 content-type text/plain lf-string "{name} %[hostname]\\n"
"""
)
# With its libraries beside it, so that the rest of the image is Busybox's alone.
PROGRAM = "/program"
SERVE = f"""\
#!/bin/sh
exec {PROGRAM}/ld-linux* --library-path {PROGRAM} {PROGRAM}/haproxy -db -f /etc/server.cfg
"""
IMAGES: Sequence[tuple[str, Mapping[str, Any], Mapping[str, str]]] = (
    (
        "docker.io/library/nextcloud:29-apache",
        {"Cmd": ["/bin/serve-all"]},
        {
            "/bin/serve-all": SERVE,
            "/etc/server.cfg": ASKING,
            "/cron.sh": "#!/bin/sh\ntrap 'exit 0' TERM\nwhile :; do sleep 3600 & wait $!; done\n",
        },
    ),
    (
        "docker.io/library/mariadb:10.11",
        {"Entrypoint": ["/bin/entry"], "ExposedPorts": {"3306/tcp": {}}},
        {
            "/bin/entry": SERVE,
            "/bin/healthcheck.sh": "#!/bin/sh\nexec wget -q -O /dev/null http://127.0.0.1:3306/\n",
            "/etc/server.cfg": ANSWERING.format(port=3306, name="db"),
        },
    ),
    (
        "docker.io/library/redis:alpine",
        {"ExposedPorts": {"6379/tcp": {}}},
        {
            "/bin/redis-server": SERVE,
            "/etc/server.cfg": ANSWERING.format(port=6379, name="redis"),
        },
    ),
)
"""Each one's name, configuration and files. All hosts have them, as any of them is asked which ports an image exposes."""


@dataclass
class Shop:
    """`client` is a machine beside the hosts, from which requests come."""

    hosts: Mapping[str, Host]
    client: HostNetwork
    cluster_id: str = ""

    @property
    def master(self) -> Host:
        return self.hosts["web1"]

    def proxy(self, host: str) -> Proxy:
        return Proxy(self.hosts[host])

    def ask(self, *arguments: str) -> Any:
        """The JSON answer of a command on the master; empty where there is none."""
        done = self.master.run(["hullmark", *arguments, "--output", "json"], check=False)
        return json.loads(done.stdout) if done.stdout else {}

    def is_ready(self) -> bool:
        found = [one["state"] for one in self.ask("hosts").get("hosts", [])]
        return found == ["ready"] * len(KINDS)

    def is_whole(self, service: str) -> bool:
        """Each link of the way to it, as `hullmark why` sees it."""
        return self.master.run(["hullmark", "why", f"{APP}/{service}"], check=False).returncode == 0

    def containers(self, host: str) -> Mapping[str, Mapping[str, Any]]:
        """Those that run, by name."""
        there = self.hosts[host]
        socket = f"unix://{there.path(SOCKETS[there.engine])}"
        found = containers_in(socket, self.cluster_id)
        return {name: one for name, one in found.items() if one["State"]["Running"]}

    def lives(self, host: str) -> dict[str, tuple[str, int, str]]:
        """Its containers: equal ones were neither stopped nor made anew."""
        return {
            name: (one["Id"], one["State"]["Pid"], one["State"]["StartedAt"])
            for name, one in self.containers(host).items()
        }

    def agents(self, host: str) -> list[str]:
        """The process ids of what runs of its agent, without what that is about to run for a check."""
        command = ["pgrep", "-P", "1", "-f", "/usr/share/hullmark/agentd"]
        return self.hosts[host].run(command, check=False).stdout.split()

    def versions(self, host: str) -> set[str]:
        """Of our packages."""
        query = ["dpkg-query", "--show", "--showformat", "${Version}\n", "hullmark*"]
        return set(self.hosts[host].run(query).stdout.split())

    def state(self, host: str) -> str:
        """As the master has it."""
        hosts = self.ask("hosts").get("hosts", [])
        return "".join(str(one["state"]) for one in hosts if one["name"] == host)

    def container(self, service: str) -> Mapping[str, Any]:
        """The one that runs of a service. Raises AssertionError where there is none."""
        found = self.containers(HOMES[service])
        names = [name for name in found if f"{APP}.{service}." in name]
        assert len(names) == 1, f"{service}: {sorted(found)}"
        return found[names[0]]

    def within(self, service: str, script: str) -> str:
        """What a script says in the service's container; nothing where it fails."""
        host = self.hosts[HOMES[service]]
        command = [host.engine, "exec", str(self.container(service)["Id"]), "sh", "-c", script]
        done = host.run(command, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    def fetch(self, host: str, path: str = "/") -> str:
        """What the published port of a host says; nothing where it doesn't answer."""
        url = f"http://{self.hosts[host].address}:{PORT}{path}"
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=3) as answer:
            return str(answer.read().decode()).strip()
        return ""

    def answers(self, hosts: Sequence[str] = tuple(KINDS)) -> bool:
        """Whether each of these hosts passes on to the application, and that gets to both others by name."""
        said = [self.fetch(host, f"/{name}").split() for host in hosts for name in ("db", "redis")]
        return [words[:1] for words in said] == [["db"], ["redis"]] * len(hosts)

    def connections(self, host: str) -> list[dict[str, Any]]:
        """What the host's proxy has logged of connections, where that host's logs are."""
        there = self.hosts[host]
        if there.has_systemd:
            lines = there.run("journalctl -q -o cat -t hullmark-proxy").stdout
        else:
            lines = there.run(
                "sed -n 's/.* hullmark-proxy\\[[0-9]*\\]: //p' /var/log/syslog"
            ).stdout
        return [json.loads(line) for line in lines.splitlines() if line.startswith("{")]


@contextlib.contextmanager
def opened() -> Iterator[Shop]:
    """With the app on it, every way of which is whole."""
    made = products()
    with (
        Bed() as bed,
        ThreadPoolExecutor(len(KINDS)) as pool,
        HostNetwork("client", CLIENT) as client,
    ):
        booted = {name: pool.submit(bed.host, name, *kind) for name, kind in KINDS.items()}
        shop = Shop({name: one.result() for name, one in booted.items()}, client)
        list(pool.map(lambda name: _install(shop, name, made.repo), KINDS))
        _join(shop, pool)
        _apply(shop)
        yield shop


def _install(shop: Shop, name: str, repository: Path) -> None:
    host = shop.hosts[name]
    host.use_repository(repository)
    host.install("hullmark-agent", *(["hullmark-master"] if host is shop.master else []))
    socket = f"unix://{host.path(SOCKETS[host.engine])}"
    program = {
        f"{PROGRAM}/{Path(path).name}": content
        for path, content in server.files_of("haproxy").items()
    }
    for ref, config, content in IMAGES:
        written = {path: text.encode() for path, text in content.items()}
        described = {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"], **config}
        load_image(socket, ref, described, {**program, **written})


def _join(shop: Shop, pool: ThreadPoolExecutor) -> None:
    master = shop.master
    master.run(["hullmark", "master", "init", "--address", master.address])
    master.run(["hullmark", "status", "--wait", "60s"], check=False)
    shop.cluster_id = shop.ask("status")["cluster_id"]

    def enroll(name: str) -> None:
        token = f"/root/{name}.token"
        master.run(["hullmark", "invite", name, "--token-file", token])
        shop.hosts[name].write("/root/token", master.read(token), 0o600)
        shop.hosts[name].run(["hullmark", "agent", "enroll", "--token-file", "/root/token"])

    list(pool.map(enroll, KINDS))
    wait_until(shop.is_ready, "all hosts are ready", 60.0)


def _apply(shop: Shop) -> None:
    """The file as it is, with another that the shop has beside it."""
    master = shop.master
    master.put(PUBLIC, f"/root/{APP}/compose.yaml")
    master.write(f"/root/{APP}/ours.yaml", ADDED)
    master.write(f"/root/{APP}/db.env", "MYSQL_PASSWORD=a\nMYSQL_USER=b\nMYSQL_DATABASE=c\n")
    master.run(f"cd /root/{APP} && hullmark apply --wait -p {APP} compose.yaml ours.yaml")
    wait_until(shop.answers, "every host passes on to the app", 60.0)
