"""A dozen stacks as people publish them: each becomes an app, or the exact refusal is written here."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from hullmark.compose import Loaded, check, load
from hullmark.errors import InvalidInput
from hullmark.model.app import App, Mount, PortMode, RestartCondition, Service, Ulimit

PUBLIC = Path(__file__).parent / "public"
WAY_OUT = (
    " (allowed: an absolute path on the hosts, a named volume, or `configs`, which ship single files"
    " of at most 256 KiB)"
)
UDP = (
    "udp is published with mode: host only (allowed: the long form, such as"
    " {target: PORT, published: PORT, protocol: udp, mode: host})"
)
BESIDE = {
    "prometheus.yml": "scrape_configs: []\n",
    "init.js": "db.createUser({})\n",
    "Caddyfile": "{$DOMAIN} {\n}\n",
    "db.env": "MYSQL_DATABASE=nextcloud\nMYSQL_PASSWORD='a b'\n",
    "gitea/README": "",
}
"""What the files name, beside them."""


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    folder = tmp_path / "stack"
    folder.mkdir()
    for file in PUBLIC.glob("*.yaml"):
        shutil.copy(file, folder)
    for name, content in BESIDE.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)
    return folder


def loaded(
    folder: Path,
    name: str,
    environment: Mapping[str, str] = {},
    images: Mapping[str, str] = {},
    profiles: Sequence[str] = (),
) -> Loaded:
    found = load(
        [str(folder / f"{name}.yaml")], environment=environment, images=images, profiles=profiles
    )
    assert check(found.app) == []
    return found


def refused(folder: Path, name: str, environment: Mapping[str, str] = {}) -> Sequence[str]:
    with pytest.raises(InvalidInput) as caught:
        loaded(folder, name, environment)
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


def with_udp_on_the_host(file: Path, entry: str, port: str) -> None:
    """Do what the refusal says to do."""
    text = file.read_text()
    assert entry in text
    entry_now = f'{{target: "{port}", published: "{port}", protocol: udp, mode: host}}'
    file.write_text(text.replace(entry, entry_now))


def essentials(app: App) -> Sequence[str]:
    return [_essentials(name, service) for name, service in app.services.items()]


def _essentials(name: str, service: Service) -> str:
    spec = service.container
    parts = [f"{name}: {spec.image}"]
    parts += [f"{port.published_first}>{port.target}/{port.protocol}" for port in service.ports]
    parts += [_mount(mount) for mount in spec.mounts]
    parts += [f"file:{ref.target}" for ref in (*spec.configs, *spec.secrets)]
    parts += [f"after {each.service} {each.condition.value}" for each in service.depends_on]
    return " ".join(parts)


def _mount(mount: Mount) -> str:
    return f"{mount.source or mount.kind.value}:{mount.target}" + (":ro" if mount.read_only else "")


def test_every_file_is_tried() -> None:
    tried = Path(__file__).read_text()
    for file in PUBLIC.glob("*.yaml"):
        assert f'(folder, "{file.stem}"' in tried, file
    assert len(list(PUBLIC.glob("*.yaml"))) == 12


def test_wordpress(folder: Path) -> None:
    found = loaded(folder, "wordpress", {"MYSQL_PASSWORD": "hunter2"})
    assert essentials(found.app) == [
        "db: mysql:8.0 db_data:/var/lib/mysql",
        "wordpress: wordpress:latest 8000>80/tcp wp_data:/var/www/html after db service_started",
    ]
    db, wordpress = (service.container for service in found.app.services.values())
    assert db.command == ("--default-authentication-plugin=mysql_native_password",)
    assert db.environment["MYSQL_ROOT_PASSWORD"] == "somewordpress"
    assert wordpress.environment["WORDPRESS_DB_PASSWORD"] == "hunter2"
    assert db.networks[0].aliases == ("mysql",)  # the link's alias
    assert db.restart.condition is RestartCondition.ANY
    assert found.app.name == "stack"
    assert [line.split(": ")[1] for line in found.warnings] == [
        "services.db.container_name",
        "services.db.environment.MYSQL_ROOT_PASSWORD",
        "services.db.environment.MYSQL_PASSWORD",
        "services.wordpress.environment[2]",
        "services.wordpress.links[0]",
    ]
    assert "hunter2" not in str(found.warnings)


def test_postgres_with_adminer(folder: Path) -> None:
    found = loaded(folder, "postgres-adminer", {"COMPOSE_PROJECT_NAME": ""})
    assert essentials(found.app) == [
        (
            "postgres: docker.io/library/postgres:16-alpine pgdata:/var/lib/postgresql/data"
            " file:/run/secrets/postgres_password"
        ),
        "adminer: adminer 8080>8080/tcp after postgres service_healthy",
    ]
    postgres = found.app.services["postgres"].container
    assert postgres.healthcheck is not None
    assert postgres.healthcheck.test == (
        "CMD-SHELL",
        "pg_isready -U ${POSTGRES_USER} -d $POSTGRES_DB || exit 1",
    )
    assert (postgres.healthcheck.interval_s, postgres.healthcheck.start_period_s) == (10.0, 20.0)
    assert (postgres.shm_size_bytes, postgres.stop_grace_s) == (128 << 20, 90.0)
    assert found.app.secrets["postgres_password"].path == "/etc/shop/postgres_password"
    assert (found.app.name, list(found.app.networks)) == ("database", ["backend"])
    assert found.warnings == ()


def test_monitoring(folder: Path) -> None:
    found = loaded(folder, "monitoring", {"RETENTION": "30d"})
    assert essentials(found.app) == [
        (
            "prometheus: prom/prometheus:v2.53.0 prometheus_data:/prometheus"
            " file:/etc/prometheus/prometheus.yml"
        ),
        "node-exporter: prom/node-exporter:v1.8.1 /proc:/host/proc:ro /sys:/host/sys:ro /:/rootfs:ro",
        (
            "cadvisor: gcr.io/cadvisor/cadvisor:v0.49.1 /:/rootfs:ro /var/run:/var/run:ro /sys:/sys:ro"
            " /var/lib/docker:/var/lib/docker:ro"
        ),
        (
            "grafana: grafana/grafana:11.1.0 3000>3000/tcp grafana_data:/var/lib/grafana"
            " after prometheus service_started"
        ),
    ]
    services = found.app.services
    exporter, cadvisor = services["node-exporter"].container, services["cadvisor"].container
    assert exporter.pid == "host"
    assert exporter.mounts[2].propagation == "rslave"
    assert exporter.command is not None
    assert exporter.command[3].endswith("=^/(sys|proc|dev|host|etc)($|/)")
    assert cadvisor.privileged
    assert cadvisor.devices == ("/dev/kmsg:/dev/kmsg:rwm",)
    assert cadvisor.limits.memory_bytes == 256 << 20
    prometheus = services["prometheus"].container
    assert prometheus.command is not None
    assert prometheus.command[2] == "--storage.tsdb.retention.time=30d"
    assert prometheus.logging.options == {"max-size": "10m", "max-file": "5"}
    assert services["grafana"].container.user == "472"
    shipped = found.app.configs[prometheus.configs[0].source]
    assert shipped.size_bytes == len(BESIDE["prometheus.yml"])


def test_nextcloud(folder: Path) -> None:
    found = loaded(folder, "nextcloud")
    after = "after db service_healthy after redis service_started"
    assert essentials(found.app) == [
        "db: mariadb:10.11 db:/var/lib/mysql",
        "redis: redis:alpine tmpfs:/tmp",
        f"app: nextcloud:29-apache 8080>80/tcp nextcloud:/var/www/html {after}",
        f"cron: nextcloud:29-apache nextcloud:/var/www/html {after}",
    ]
    app = found.app.services["app"]
    assert app.ports[0].host_ip == "127.0.0.1"
    assert app.container.environment == {
        "MYSQL_DATABASE": "nextcloud",
        "MYSQL_PASSWORD": "a b",
        "MYSQL_HOST": "db",
        "REDIS_HOST": "redis",
        "PHP_MEMORY_LIMIT": "512M",
        "OVERWRITEPROTOCOL": "https",
    }
    assert found.app.services["cron"].container.entrypoint == ("/cron.sh",)
    check_of_db = found.app.services["db"].container.healthcheck
    assert check_of_db is not None
    assert check_of_db.test == ("CMD-SHELL", "healthcheck.sh --connect --innodb_initialized")
    assert any("NEXTCLOUD_TRUSTED_DOMAINS has no value" in line for line in found.warnings)


def test_gitea(folder: Path) -> None:
    start = "a relative bind ships one file with the app, but"
    assert refused(folder, "gitea") == [
        (
            f"gitea.yaml:23: services.server.volumes[0]: {start} gitea is a folder, not a regular file"
            f"{WAY_OUT}"
        ),
        f"gitea.yaml:42: services.db.volumes[0]: {start} postgres: No such file or directory{WAY_OUT}",
    ]


def test_elastic(folder: Path) -> None:
    variables = {"STACK_VERSION": "8.14.0", "ES_PORT": "9200", "MEM_LIMIT": "1073741824"}
    start = "a relative bind ships one file with the app, but"
    stack = refused(folder, "elastic", {**variables, "ELASTIC_PASSWORD": "x"})
    assert stack == [
        (
            f"elastic.yaml:59: services.logstash.volumes[0]: {start} logstash/pipeline: No such file or"
            f" directory{WAY_OUT}"
        ),
        (
            f"elastic.yaml:60: services.logstash.volumes[1]: {start} logstash/logstash.yml: No such file"
            f" or directory{WAY_OUT}"
        ),
        (
            "elastic.yaml:63: services.logstash.network_mode: shares with another container, which may be"
            " replaced at any time (allowed: bridge, host, none)"
        ),
    ]


def test_elastic_without_its_variables(folder: Path) -> None:
    stack = refused(folder, "elastic")
    assert stack[:2] == [
        "elastic.yaml:5: services.setup.image: variable STACK_VERSION is not set: left empty",
        (
            'elastic.yaml:5: services.setup.image: "docker.elastic.co/elasticsearch/elasticsearch:" does'
            " not fit here (allowed: [REGISTRY/]NAME[:TAG][@sha256:...]; an image ID means nothing"
            " elsewhere)"
        ),
    ]
    assert (
        "elastic.yaml:38: services.es01.mem_limit: variable MEM_LIMIT is not set: left empty"
        in stack
    )


def test_elastic_without_logstash(folder: Path) -> None:
    (folder / "override.yaml").write_text("services: {logstash: !reset null}")
    variables = {"STACK_VERSION": "8.14.0", "ES_PORT": "9200", "MEM_LIMIT": "1073741824"}
    files = [str(folder / "elastic.yaml"), str(folder / "override.yaml")]
    app = load(files, environment={**variables, "ELASTIC_PASSWORD": "x"}).app
    image = "docker.elastic.co/elasticsearch/elasticsearch:8.14.0"
    config = "/usr/share/elasticsearch"
    assert essentials(app) == [
        f"setup: {image} certs:{config}/config/certs",
        (
            f"es01: {image} 9200>9200/tcp certs:{config}/config/certs esdata01:{config}/data"
            " after setup service_completed_successfully"
        ),
    ]
    setup, es01 = app.services["setup"].container, app.services["es01"].container
    assert setup.one_shot
    assert setup.user == "0"
    assert setup.command is not None
    assert setup.command[:2] == ("bash", "-c")
    assert "[ x${ELASTIC_PASSWORD} == x ]" in setup.command[2]
    assert es01.ulimits == {"memlock": Ulimit(-1, -1), "nofile": Ulimit(65535, 65535)}
    assert es01.limits.memory_bytes == 1 << 30
    assert es01.cap_add == ("IPC_LOCK",)


def test_traefik(folder: Path) -> None:
    assert refused(folder, "traefik") == [
        (
            "traefik.yaml:10: services.reverse-proxy.command[5]: variable ACME_EMAIL is not set: the"
            " address for Let's Encrypt"
        )
    ]
    assert refused(folder, "traefik", {"ACME_EMAIL": "a@example.com"}) == [
        (
            "traefik.yaml:29: services.reverse-proxy.deploy.placement.constraints[0]:"
            ' "node.role == manager" does not fit here (allowed: KEY == VALUE or KEY != VALUE, KEY being'
            " node.labels.NAME, node.hostname, node.id, node.platform.os, node.platform.arch,"
            " node.facts.os, node.facts.kernel or node.facts.engine)"
        )
    ]


def test_traefik_without_its_constraint(folder: Path) -> None:
    file = folder / "traefik.yaml"
    file.write_text(file.read_text().replace("node.role == manager", "node.labels.edge == yes"))
    found = loaded(folder, "traefik", {"ACME_EMAIL": "a@example.com", "DOMAIN": "example.com"})
    assert essentials(found.app) == [
        (
            "reverse-proxy: traefik:v3.1 80>80/tcp 443>443/tcp"
            " /var/run/docker.sock:/var/run/docker.sock:ro letsencrypt:/letsencrypt"
        ),
        "whoami: traefik/whoami",
    ]
    proxy, whoami = found.app.services.values()
    assert {port.mode for port in proxy.ports} == {PortMode.HOST}
    assert proxy.container.restart.condition is RestartCondition.ON_FAILURE
    assert proxy.container.restart.delay_s == 5.0
    assert proxy.deploy.placement.constraints == ("node.labels.edge == yes",)
    labels = whoami.container.labels
    assert labels["traefik.http.routers.whoami.rule"] == "Host(`whoami.example.com`)"
    assert labels["traefik.http.middlewares.auth.basicauth.users"].startswith("admin:$apr1$H6")
    assert (whoami.deploy.replicas, whoami.deploy.update.delay_s) == (2, 10.0)
    assert found.app.networks["web"].external == "proxy"


def test_mongo(folder: Path) -> None:
    found = loaded(folder, "mongo")
    mongo = (
        "mongo: mongo:7 27017>27017/tcp mongodata:/data/db file:/docker-entrypoint-initdb.d/init.js"
    )
    assert essentials(found.app) == [mongo]
    with_page = loaded(folder, "mongo", profiles=["admin"]).app
    assert essentials(with_page) == [
        mongo,
        "mongo-express: mongo-express 8081>8081/tcp after mongo service_healthy",
    ]
    express = with_page.services["mongo-express"].container
    assert express.environment["ME_CONFIG_BASICAUTH"] == "false"
    check_of_mongo = found.app.services["mongo"].container.healthcheck
    assert check_of_mongo is not None
    assert check_of_mongo.test[1].startswith("echo 'db.runCommand(\"ping\").ok' | mongosh")
    assert any(".healthcheck.start_interval: ignored" in line for line in found.warnings)


def test_rabbitmq(folder: Path) -> None:
    assert refused(folder, "rabbitmq") == [
        (
            "rabbitmq.yaml:36: services.worker.build: is not supported: Hullmark builds no images"
            " (allowed: build it, push it, and pass --image worker=[REGISTRY/]NAME[:TAG])"
        )
    ]
    found = loaded(
        folder,
        "rabbitmq",
        {"TZ": "UTC", "RABBITMQ_ERLANG_COOKIE": ""},
        {"worker": "registry.example.com/worker:7"},
    )
    assert essentials(found.app) == [
        (
            "rabbitmq: rabbitmq:3.13-management-alpine 5672>5672/tcp 15672>15672/tcp"
            " rabbitmq:/var/lib/rabbitmq"
        ),
        "worker: registry.example.com/worker:7 after rabbitmq service_healthy",
    ]
    rabbitmq, worker = found.app.services.values()
    assert rabbitmq.container.environment["RABBITMQ_ERLANG_COOKIE"] == ""
    assert rabbitmq.container.limits.cpus == 0.5
    assert rabbitmq.deploy.reservations.memory_bytes == 128 << 20
    assert worker.container.environment["TZ"] == "UTC"
    assert worker.deploy.replicas == 3


KEYCLOAK = {"POSTGRES_PASSWORD": "hunter2", "KEYCLOAK_ADMIN_PASSWORD": "hunter3"}


def test_keycloak(folder: Path) -> None:
    missing = "variable POSTGRES_PASSWORD is not set: set POSTGRES_PASSWORD in .env"
    admin = "variable KEYCLOAK_ADMIN_PASSWORD is not set: set KEYCLOAK_ADMIN_PASSWORD in .env"
    where = "keycloak.environment"
    assert refused(folder, "keycloak") == [
        f"keycloak.yaml:9: services.postgres.environment.POSTGRES_PASSWORD: {missing}",
        f"keycloak.yaml:24: services.{where}.KEYCLOAK_ADMIN_PASSWORD: {admin}",
        f"keycloak.yaml:28: services.{where}.KC_DB_PASSWORD: {missing}",
    ]
    assert refused(folder, "keycloak", KEYCLOAK) == [
        (
            "keycloak.yaml:46: volumes.postgres_data.name: is not supported: this volume is called"
            " stack_postgres_data; for one that exists already, set `external: true` beside its name"
        )
    ]


def test_keycloak_without_a_name_for_its_volume(folder: Path) -> None:
    file = folder / "keycloak.yaml"
    file.write_text(file.read_text().replace("    name: keycloak_db\n", ""))
    found = loaded(folder, "keycloak", KEYCLOAK)
    assert essentials(found.app) == [
        "postgres: postgres:15 postgres_data:/var/lib/postgresql/data",
        (
            "keycloak: quay.io/keycloak/keycloak:25.0 8080>8080/tcp 9000>9000/tcp"
            " after postgres service_started"
        ),
    ]
    postgres, keycloak = (service.container for service in found.app.services.values())
    assert postgres.networks[0].aliases == ("database",)
    assert keycloak.command == ("start", "--optimized")
    assert keycloak.environment["KC_HTTP_ENABLED"] == "true"
    assert keycloak.environment["KC_DB_USERNAME"] == "keycloak"
    assert keycloak.environment["KC_DB_PASSWORD"] == "hunter2"
    assert keycloak.extra_hosts == ("ldap.example.com:10.1.2.3",)
    assert found.app.networks["keycloak_network"].subnet == "172.28.10.0/24"


MATTERMOST = {
    "POSTGRES_IMAGE_TAG": "13-alpine",
    "RESTART_POLICY": "unless-stopped",
    "POSTGRES_DATA_PATH": "./volumes/db",
    "MATTERMOST_IMAGE": "mattermost-team-edition",
    "MATTERMOST_IMAGE_TAG": "9.5",
    "MATTERMOST_CONFIG_PATH": "/srv/mattermost/config",
    "MATTERMOST_DATA_PATH": "/srv/mattermost/data",
    "POSTGRES_USER": "mm",
    "POSTGRES_PASSWORD": "hunter2",
    "POSTGRES_DB": "mm",
    "DOMAIN": "chat.example.com",
    "CALLS_PORT": "8443",
    "TZ": "UTC",
}


def test_mattermost(folder: Path) -> None:
    dotenv = "".join(f"{name}={value}\n" for name, value in MATTERMOST.items())
    (folder / ".env").write_text(dotenv)
    assert refused(folder, "mattermost") == [
        (
            "mattermost.yaml:15: services.postgres.volumes[0]: a relative bind ships one file with the"
            f" app, but volumes/db: No such file or directory{WAY_OUT}"
        ),
        f"mattermost.yaml:44: services.mattermost.ports[0]: {UDP.replace('PORT', '8443')}",
    ]
    with_udp_on_the_host(
        folder / "mattermost.yaml", "${CALLS_PORT}:${CALLS_PORT}/udp", "${CALLS_PORT}"
    )
    found = loaded(folder, "mattermost", {"POSTGRES_DATA_PATH": "/srv/mattermost/db"})
    assert essentials(found.app) == [
        (
            "postgres: postgres:13-alpine /srv/mattermost/db:/var/lib/postgresql/data tmpfs:/tmp"
            " tmpfs:/var/run/postgresql"
        ),
        (
            "mattermost: mattermost/mattermost-team-edition:9.5 8443>8443/udp 8443>8443/tcp"
            " /srv/mattermost/config:/mattermost/config /srv/mattermost/data:/mattermost/data tmpfs:/tmp"
            " after postgres service_started"
        ),
    ]
    postgres, mattermost = (service.container for service in found.app.services.values())
    assert postgres.read_only
    assert postgres.limits.pids == 100
    assert postgres.security_opt == ("no-new-privileges:true",)
    assert postgres.environment["POSTGRES_PASSWORD"] == "hunter2"
    assert mattermost.cap_drop == ("ALL",)
    source = mattermost.environment["MM_SQLSETTINGS_DATASOURCE"]
    assert source == "postgres://mm:hunter2@postgres:5432/mm?sslmode=disable"
    assert "hunter2" not in str(found.warnings)


def test_vaultwarden(folder: Path) -> None:
    assert refused(folder, "vaultwarden") == [
        f"vaultwarden.yaml:34: services.caddy.ports[2]: {UDP.replace('PORT', '443')}",
        (
            'vaultwarden.yaml:47: secrets.admin_token.file: "./secrets/admin_token" does not fit here'
            " (allowed: an absolute path on the host: a secret is not shipped, so there is nothing that a"
            " relative path could start from)"
        ),
    ]


def test_vaultwarden_with_its_secret_on_the_host(folder: Path) -> None:
    file = folder / "vaultwarden.yaml"
    file.write_text(file.read_text().replace("./secrets", "/etc/vaultwarden"))
    with_udp_on_the_host(file, "443:443/udp", "443")
    found = loaded(folder, "vaultwarden")
    assert essentials(found.app) == [
        "vaultwarden: vaultwarden/server:latest vw-data:/data file:/run/secrets/admin_token",
        (
            "caddy: caddy:2 80>80/tcp 443>443/tcp 443>443/udp caddy-config:/config caddy-data:/data"
            " file:/etc/caddy/Caddyfile after vaultwarden service_started"
        ),
    ]
    caddy = found.app.services["caddy"].container
    assert caddy.init is True
    assert (caddy.cap_drop, caddy.cap_add) == (("ALL",), ("NET_BIND_SERVICE",))
    assert all(service.deploy.on_host_lost is None for service in found.app.services.values())
