"""The keys of agent.yaml and master.yaml: one table each, from which all else is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hullmark.config import values


@dataclass(frozen=True)
class Key:
    """`name` is dotted as in the file; the field of the configuration has underscores instead of dots.
    `read` turns a YAML value into the field's, or raises ValueError saying what is allowed."""

    name: str
    read: Callable[[Any], Any]
    default: Any
    meaning: str

    @property
    def field(self) -> str:
        return self.name.replace(".", "_")


@dataclass(frozen=True)
class AgentConfig:
    """Times in seconds; sizes in bytes; paths absolute. `host_name` and `engine_socket` empty: found out."""

    state_dir: str
    run_dir: str
    mode: str
    host_name: str
    masters: tuple[str, ...]
    engine_socket: str
    engine_subnets: str
    engine_subnet_prefix: int
    registries_dir: str
    policy_dir: str
    parallel: int
    poll_hold: float
    resync: float
    audit_dir: str
    audit_rotate_size: int
    audit_keep: float
    audit_reserve: int
    audit_copies: str
    controls_dir: str
    controls_budget: int
    controls_watch: tuple[str, ...]
    controls_receipts: tuple[str, ...]
    proxy_folder: str
    proxy_run_dir: str
    proxy_address: str
    proxy_port: int
    services_export_hosts_file: str
    services_export_json: str
    services_export_haproxy: str
    framework: str
    alerts_log: str
    alerts_webhook: str
    alerts_mail_to: tuple[str, ...]
    alerts_mail_from: str
    alerts_mail_server: str
    log_level: str
    log_form: str
    log_to: str


@dataclass(frozen=True)
class MasterConfig:
    """Times in seconds; sizes in bytes; paths absolute. `addresses`: what agents and people dial, first one preferred."""

    state_dir: str
    name: str
    socket: str
    addresses: tuple[str, ...]
    api_listen: str
    agents_listen: str
    store_kind: str
    store_etcd_endpoints: tuple[str, ...]
    store_etcd_ca: str
    store_etcd_cert: str
    store_etcd_key: str
    store_etcd_user: str
    store_etcd_password_file: str
    leader_ttl: float
    lost_after: float
    scheduler_strategy: str
    services_range: str
    lease: float
    session_valid: float
    invite_valid: float
    events_keep: int
    audit_dir: str
    audit_rotate_size: int
    audit_keep: float
    audit_reserve: int
    audit_copies: str
    framework: str
    alerts_log: str
    alerts_webhook: str
    alerts_mail_to: tuple[str, ...]
    alerts_mail_from: str
    alerts_mail_server: str
    roles_viewer_users: tuple[str, ...]
    roles_viewer_groups: tuple[str, ...]
    roles_auditor_users: tuple[str, ...]
    roles_auditor_groups: tuple[str, ...]
    roles_deployer_users: tuple[str, ...]
    roles_deployer_groups: tuple[str, ...]
    roles_admin_users: tuple[str, ...]
    roles_admin_groups: tuple[str, ...]
    log_level: str
    log_form: str
    log_to: str


_KIB, _MIB, _DAY_S = 1 << 10, 1 << 20, 86400.0


def _audit_keys(folder: str) -> tuple[Key, ...]:
    return (
        Key("audit.dir", values.path, folder, "where the audit log is"),
        Key(
            "audit.rotate_size",
            values.size(_MIB, 1024 * _MIB),
            64 * _MIB,
            "a file of the audit log of this size is closed, and another begun",
        ),
        Key(
            "audit.keep",
            values.duration(_DAY_S, 3660 * _DAY_S),
            400 * _DAY_S,
            "how long closed files of the audit log are kept; PCI DSS asks for 12 months",
        ),
        Key(
            "audit.reserve",
            values.size(64 * _KIB, 64 * _MIB),
            _MIB,
            "room kept on the disk, so that restarts and stops can be recorded when it is full",
        ),
        Key(
            "audit.copies",
            values.choice("auto", "journal", "syslog", "none"),
            "auto",
            "where copies of records go; auto: the journal where there is systemd, else syslog",
        ),
    )


_ALERT_KEYS = (
    Key(
        "framework",
        values.name,
        "pci-dss-4.0.1",
        "which requirements controls are shown and recorded with",
    ),
    Key(
        "alerts.log",
        values.choice("auto", "journal", "syslog", "none"),
        "auto",
        "where alerts are logged; auto: the journal where there is systemd, else syslog",
    ),
    Key("alerts.webhook", values.url_or_none, "", "where alerts are sent as JSON; empty: nowhere"),
    Key("alerts.mail.to", values.mails, (), "who gets alerts by mail; empty: nobody"),
    Key("alerts.mail.from", values.mail_or_none, "", "whose mail it is; empty: hullmark@HOST"),
    Key("alerts.mail.server", values.mail_server, "localhost:25", "the mail server, HOST:PORT"),
)

AGENT_KEYS = (
    Key(
        "state_dir", values.path, "/var/lib/hullmark/agent", "accepted orders, certificate, configs"
    ),
    Key("run_dir", values.path, "/run/hullmark-agent", "what the host's controls found last"),
    Key(
        "mode",
        values.choice("run", "observe"),
        "run",
        "observe: only checks its host; has no engine, and refuses every order",
    ),
    Key("host_name", values.host_name, "", "the host's name in the cluster; empty: the system's"),
    Key("masters", values.urls, (), "the masters' agents port; empty: as told at enrolment"),
    Key(
        "engine.socket",
        values.socket_url,
        "",
        "the engine's socket; empty: Docker's, then Podman's",
    ),
    Key(
        "engine.subnets", values.subnet, "10.213.0.0/16", "where apps' networks get their addresses"
    ),
    Key(
        "engine.subnet_prefix", values.number(20, 29), 25, "size of one network; 25: 125 instances"
    ),
    Key("registries_dir", values.path, "/etc/hullmark/registries.d", "registry credentials"),
    Key("policy_dir", values.path, "/etc/hullmark/policy.d", "the host's own rules"),
    Key("parallel", values.number(1, 64), 8, "how many containers are worked on at a time"),
    Key("poll_hold", values.duration(0.2, 10), 4.0, "how long a poll may be held"),
    Key("resync", values.duration(5, 3600), 60.0, "how often everything is looked at afresh"),
    *_audit_keys("/var/log/hullmark"),
    Key(
        "controls.dir",
        values.path,
        "/etc/hullmark/controls.d",
        "the site's own controls, beside those that are shipped",
    ),
    Key(
        "controls.budget",
        values.number(1, 100),
        1,
        "percent of one core that checks may use, their children included; more, and they are made rarer",
    ),
    Key(
        "controls.watch",
        values.paths,
        (),
        "files and folders to be watched for change, beside Hullmark's and the engine's own",
    ),
    Key(
        "controls.receipts",
        values.paths,
        (),
        "on a log host: where the logs of other hosts are, in which their canaries are looked for",
    ),
    Key(
        "proxy.folder",
        values.path,
        "/var/lib/hullmark-proxy",
        "what the host's proxy is told: its configuration, and its certificate",
    ),
    Key("proxy.run_dir", values.path, "/run/hullmark-proxy", "where the proxy's sockets are"),
    Key(
        "proxy.address",
        values.address_or_none,
        "",
        "this host's address for other hosts' proxies; empty: the one that leads to the masters",
    ),
    Key("proxy.port", values.number(1, 65535), 7443, "its one port for other hosts' proxies"),
    Key(
        "services.export.hosts_file",
        values.path_or_none,
        "",
        "a file that is kept up to date with where published ports answer, as /etc/hosts has it; empty: none",
    ),
    Key("services.export.json", values.path_or_none, "", "the same as JSON, with who serves"),
    Key(
        "services.export.haproxy",
        values.path_or_none,
        "",
        "the same as backends for a load balancer of the shop's own that is HAProxy",
    ),
    *_ALERT_KEYS,
    Key("log_level", values.choice("debug", "info", "warning", "error"), "info", "what is logged"),
    Key("log_form", values.choice("text", "json"), "text", "how a line of the log is written"),
    Key("log_to", values.choice("stderr", "syslog"), "stderr", "where the log goes"),
)

MASTER_KEYS = (
    Key("state_dir", values.path, "/var/lib/hullmark/master", "embedded store, authority"),
    Key("name", values.host_name, "", "the master's name; empty: the system's"),
    Key("socket", values.path, "/run/hullmark/master.sock", "where people on this machine log in"),
    Key("addresses", values.addresses, (), "what agents and people dial; empty: the system's name"),
    Key("api.listen", values.listener, "0.0.0.0:7442", "API and enrolment"),
    Key("agents.listen", values.listener, "0.0.0.0:7441", "agents"),
    Key("store.kind", values.choice("sqlite", "etcd"), "sqlite", "the cluster's store"),
    Key("store.etcd.endpoints", values.etcd_urls, (), "the members of etcd; of store.kind etcd"),
    Key("store.etcd.ca", values.path_or_none, "", "the authority of etcd's members"),
    Key("store.etcd.cert", values.path_or_none, "", "the certificate to show them"),
    Key("store.etcd.key", values.path_or_none, "", "its private key"),
    Key("store.etcd.user", values.etcd_user, "", "the user of etcd; empty: etcd asks for none"),
    Key("store.etcd.password_file", values.path_or_none, "", "the file with its password"),
    Key(
        "leader_ttl",
        values.duration(1, 60),
        3.0,
        "how long a leader may be silent before a standby takes over",
    ),
    Key("lost_after", values.duration(2, 3600), 10.0, "silence after which a host counts as lost"),
    Key(
        "scheduler.strategy",
        values.choice("spread", "binpack"),
        "spread",
        "which host that fits is best: the emptiest, or the fullest",
    ),
    Key(
        "services.range",
        values.service_range,
        "10.214.0.0/16",
        "where services get their addresses; the same on every master, and used nowhere else",
    ),
    Key(
        "lease",
        values.duration(1, 600),
        10.0,
        "how long after asking an agent may act on an answer",
    ),
    Key("session_valid", values.duration(60, 604800), 28800.0, "life of a login, if not said"),
    Key("invite_valid", values.duration(60, 604800), 3600.0, "life of an invite, if not said"),
    Key(
        "events.keep",
        values.number(100, 1000000),
        10000,
        "how many events are kept, each for at most 30 days",
    ),
    *_audit_keys("/var/log/hullmark/master"),
    *_ALERT_KEYS,
    Key("roles.viewer.users", values.accounts, (), "who may see how things stand"),
    Key("roles.viewer.groups", values.accounts, (), "groups of the same"),
    Key("roles.auditor.users", values.accounts, (), "who may see all but apps' output"),
    Key("roles.auditor.groups", values.accounts, (), "groups of the same"),
    Key("roles.deployer.users", values.accounts, (), "who may change apps too"),
    Key("roles.deployer.groups", values.accounts, (), "groups of the same"),
    Key("roles.admin.users", values.accounts, (), "who may do everything, beside root"),
    Key("roles.admin.groups", values.accounts, (), "groups of the same"),
    Key("log_level", values.choice("debug", "info", "warning", "error"), "info", "what is logged"),
    Key("log_form", values.choice("text", "json"), "text", "how a line of the log is written"),
    Key("log_to", values.choice("stderr", "syslog"), "stderr", "where the log goes"),
)
