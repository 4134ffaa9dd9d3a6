"""Every key of a service that says what its container is: each form read, each error with its place."""

from __future__ import annotations

from typing import Any

import pytest

from hullmark.model.app import (
    ContainerSpec,
    Healthcheck,
    Logging,
    PullPolicy,
    Resources,
    Ulimit,
)
from tests.unit.compose.apps import container, web_problems, web_warnings

GIB = 1 << 30


@pytest.mark.parametrize(
    ("lines", "field", "value"),
    [
        ("command: sh -c 'a b'", "command", ("sh", "-c", "a b")),
        ("command: [sh, -c, a b]", "command", ("sh", "-c", "a b")),
        ("command: ''", "command", ()),
        ("command:", "command", None),
        ("entrypoint: /run me", "entrypoint", ("/run", "me")),
        ("entrypoint: []", "entrypoint", ()),
        ("user: 1000", "user", "1000"),
        ("user: '1000:www'", "user", "1000:www"),
        ("group_add: [audio, 5]", "group_add", ("audio", "5")),
        ("working_dir: /srv", "working_dir", "/srv"),
        ("hostname: web-1.example", "hostname", "web-1.example"),
        ("domainname: example.org", "domainname", "example.org"),
        ("labels: [a=b, c]", "labels", {"a": "b", "c": ""}),
        ("labels: {a: b, n: 1, t: true}", "labels", {"a": "b", "n": "1", "t": "true"}),
        ("annotations: {a: b}", "annotations", {"a": "b"}),
        ("read_only: true", "read_only", True),
        ("read_only: 'true'", "read_only", True),
        ("init: true", "init", True),
        ("init: false", "init", False),
        ("init:", "init", None),
        ("tty: true", "tty", True),
        ("stdin_open: true", "stdin_open", True),
        ("privileged: true", "privileged", True),
        ("cap_add: [net_admin, CAP_SYS_TIME]", "cap_add", ("NET_ADMIN", "SYS_TIME")),
        ("cap_drop: [ALL]", "cap_drop", ("ALL",)),
        (
            "security_opt: ['no-new-privileges:true', 'label:disable', apparmor=x]",
            "security_opt",
            ("no-new-privileges:true", "label:disable", "apparmor=x"),
        ),
        ("security_opt: [seccomp=unconfined]", "security_opt", ("seccomp=unconfined",)),
        ("network_mode: host", "network_mode", "host"),
        ("extra_hosts: ['db:10.0.0.1']", "extra_hosts", ("db:10.0.0.1",)),
        ("extra_hosts: ['db=10.0.0.1']", "extra_hosts", ("db:10.0.0.1",)),
        ("extra_hosts: ['db=[::1]', 'x:::1']", "extra_hosts", ("db:::1", "x:::1")),
        ("extra_hosts: {up: host-gateway}", "extra_hosts", ("up:host-gateway",)),
        ("extra_hosts: {a: [10.0.0.1, '::1']}", "extra_hosts", ("a:10.0.0.1", "a:::1")),
        ("dns: 10.0.0.1", "dns", ("10.0.0.1",)),
        ("dns: [10.0.0.1, '::1']", "dns", ("10.0.0.1", "::1")),
        ("dns_search: example.org", "dns_search", ("example.org",)),
        ("dns_search: [., a.example]", "dns_search", (".", "a.example")),
        ("dns_opt: ['ndots:2', use-vc]", "dns_opt", ("ndots:2", "use-vc")),
        ("pid: host", "pid", "host"),
        ("ipc: shareable", "ipc", "shareable"),
        ("uts: host", "uts", "host"),
        ("userns_mode: host", "userns_mode", "host"),
        ("cgroup: private", "cgroup", "private"),
        ("x-hullmark: {scope: cde}", "scope", "cde"),
        ("x-hullmark: {scope: out}", "scope", ""),
        ("x-hullmark: {one_shot: false}", "scope", ""),
        ("devices: [/dev/fuse]", "devices", ("/dev/fuse:/dev/fuse:rwm",)),
        ("devices: ['/dev/a:/dev/b']", "devices", ("/dev/a:/dev/b:rwm",)),
        ("devices: ['/dev/a:/dev/b:r']", "devices", ("/dev/a:/dev/b:r",)),
        ("devices: ['/dev/a:r']", "devices", ("/dev/a:/dev/a:r",)),
        (
            "devices: [{source: /dev/a, target: /dev/b, permissions: rw}]",
            "devices",
            ("/dev/a:/dev/b:rw",),
        ),
        ("devices: [{source: /dev/a}]", "devices", ("/dev/a:/dev/a:rwm",)),
        ("sysctls: {net.core.somaxconn: 1024}", "sysctls", {"net.core.somaxconn": "1024"}),
        ("sysctls: [net.core.somaxconn=1024]", "sysctls", {"net.core.somaxconn": "1024"}),
        ("ulimits: {nproc: 65535}", "ulimits", {"nproc": Ulimit(65535, 65535)}),
        ("ulimits: {nofile: {soft: 1, hard: '2'}}", "ulimits", {"nofile": Ulimit(1, 2)}),
        ("ulimits: {memlock: -1}", "ulimits", {"memlock": Ulimit(-1, -1)}),
        ("shm_size: 64m", "shm_size_bytes", 64 << 20),
        ("shm_size: 1024", "shm_size_bytes", 1024),
        ("mem_limit: 1g", "limits", Resources(memory_bytes=GIB)),
        ("cpus: '0.5'", "limits", Resources(cpus=0.5)),
        ("cpus: 2", "limits", Resources(cpus=2.0)),
        ("pids_limit: 100", "limits", Resources(pids=100)),
        ("pids_limit: -1", "limits", Resources(pids=-1)),
        ("mem_limit: 1g\nmemswap_limit: 2g", "memory_swap_bytes", 2 * GIB),
        ("mem_limit: 1g\nmemswap_limit: -1", "memory_swap_bytes", -1),
        ("oom_score_adj: -500", "oom_score_adj", -500),
        ("stop_signal: SIGINT", "stop_signal", "SIGINT"),
        ("stop_signal: 9", "stop_signal", "9"),
        ("stop_signal: SIGRTMIN+3", "stop_signal", "SIGRTMIN+3"),
        ("stop_grace_period: 1m30s", "stop_grace_s", 90.0),
        ("stop_grace_period: 0s", "stop_grace_s", 0.0),
        ("pull_policy: always", "pull_policy", PullPolicy.ALWAYS),
        ("pull_policy: if_not_present", "pull_policy", PullPolicy.MISSING),
        ("pull_policy: missing", "pull_policy", PullPolicy.MISSING),
        ("pull_policy: never", "pull_policy", PullPolicy.NEVER),
        ("platform: linux/arm64/v8", "platform", "linux/arm64/v8"),
        ("platform: amd64", "platform", "amd64"),
        ("logging: {driver: syslog}", "logging", Logging("syslog")),
        (
            "logging: {driver: json-file, options: {max-size: 5m, max-file: 3}}",
            "logging",
            Logging("json-file", {"max-size": "5m", "max-file": "3"}),
        ),
        (
            "healthcheck: {test: pg_isready -q}",
            "healthcheck",
            Healthcheck(("CMD-SHELL", "pg_isready -q")),
        ),
        ("healthcheck: {test: [CMD, x, 1]}", "healthcheck", Healthcheck(("CMD", "x", "1"))),
        ("healthcheck: {test: [NONE]}", "healthcheck", Healthcheck(disabled=True)),
        ("healthcheck: {disable: true}", "healthcheck", Healthcheck(disabled=True)),
        ("healthcheck: {interval: 5s}", "healthcheck", Healthcheck(interval_s=5.0)),
        (
            "healthcheck: {test: [CMD-SHELL, x], interval: 1m, timeout: 1500ms, retries: '5', start_period: 0s}",
            "healthcheck",
            Healthcheck(("CMD-SHELL", "x"), 60.0, 1.5, 5, 0.0),
        ),
    ],
)
def test_forms(lines: str, field: str, value: Any) -> None:
    spec = container(lines)
    assert getattr(spec, field) == value
    # And nothing else than that.
    rest = {name: getattr(spec, name) for name in spec.__dataclass_fields__ if name != field}
    plain = container("network_mode: host" if field == "network_mode" else "")
    changed = {name for name in rest if rest[name] != getattr(plain, name)}
    assert changed <= ({"limits"} if field == "memory_swap_bytes" else set())


def test_an_image_alone_is_all_defaults() -> None:
    spec = container("")
    assert spec == ContainerSpec("nginx", networks=spec.networks)


@pytest.mark.parametrize(
    ("lines", "field", "problem"),
    [
        ("command: 5", "command", "text, or a list of words"),
        ("command: {a: b}", "command", "text, or a list of words"),
        ('command: "a \'b"', "command", "every quote is closed"),
        ("user: a b", "user", "USER[:GROUP]"),
        ("user: [a]", "user", "USER[:GROUP]"),
        ("group_add: 5", "group_add", "5 does not fit here (allowed: a list)"),
        ("group_add: ['a b']", "group_add[0]", "a group's name or number"),
        ("working_dir: srv", "working_dir", "an absolute path without .."),
        ("working_dir: /srv/../etc", "working_dir", "an absolute path without .."),
        ("hostname: a_b!", "hostname", "a host name"),
        ("domainname: 'a b'", "domainname", "a domain name"),
        ("labels: text", "labels", "a mapping, or a list of NAME=VALUE"),
        (
            "labels: {io.hullmark.app: x}",
            "labels.io.hullmark.app",
            "does not begin with io.hullmark.",
        ),
        ("labels: {a: [b]}", "labels.a", "a list does not fit here"),
        ("annotations: {'': b}", "annotations", "a label's name"),
        ("read_only: 2", "read_only", "true or false"),
        ("init: perhaps", "init", "true or false"),
        ("privileged: [true]", "privileged", "true or false"),
        ("cap_add: NET_ADMIN", "cap_add", "a list"),
        ("cap_add: [FLY]", "cap_add[0]", "such as NET_ADMIN"),
        ("security_opt: [seccomp=./profile.json]", "security_opt[0]", "seccomp:unconfined"),
        ("extra_hosts: [db]", "extra_hosts[0]", "HOST:ADDRESS or HOST:host-gateway"),
        ("extra_hosts: {db: x}", "extra_hosts.db", "HOST:ADDRESS"),
        ("extra_hosts: 5", "extra_hosts", "a mapping, or a list of HOST:ADDRESS"),
        ("dns: example.org", "dns", "an IP address"),
        ("dns: [10.0.0.1, x]", "dns[1]", "an IP address"),
        ("dns_search: ['a b']", "dns_search[0]", "a domain name"),
        ("dns_opt: ['a b']", "dns_opt[0]", "a word without white space"),
        ("pid: 'service:db'", "pid", "another container, which may be replaced"),
        ("pid: mine", "pid", "(allowed: host)"),
        ("ipc: 'container:x'", "ipc", "another container, which may be replaced"),
        ("ipc: x", "ipc", "host, private, shareable, none"),
        ("uts: x", "uts", "(allowed: host)"),
        ("userns_mode: keep-id", "userns_mode", "(allowed: host)"),
        ("cgroup: x", "cgroup", "host, private"),
        ("devices: [fuse]", "devices[0]", "SOURCE[:TARGET][:PERMISSIONS]"),
        ("devices: [vendor.com/gpu=all]", "devices[0]", "SOURCE[:TARGET][:PERMISSIONS]"),
        ("devices: [/dev/../etc]", "devices[0]", "SOURCE[:TARGET][:PERMISSIONS]"),
        ("devices: [{target: /dev/a}]", "devices[0]", "SOURCE[:TARGET[:PERMISSIONS]]"),
        (
            "devices: [{source: /dev/a, permission: r}]",
            "devices[0].permission",
            "did you mean permissions?",
        ),
        ("sysctls: {somaxconn: 5}", "sysctls.somaxconn", "a kernel parameter"),
        ("ulimits: {files: 5}", "ulimits.files", "unknown limit files"),
        ("ulimits: {nofile: x}", "ulimits.nofile", "a whole number from -1"),
        ("ulimits: {nofile: {soft: 5}}", "ulimits.nofile", "needs soft and hard"),
        ("ulimits: {nofile: {soft: 5, hard: 4}}", "ulimits.nofile", "above the hard one"),
        ("ulimits: {nofile: {soft: -1, hard: 4}}", "ulimits.nofile", "above the hard one"),
        ("ulimits: [a]", "ulimits", "a mapping"),
        ("shm_size: lots", "shm_size", "such as 64m"),
        ("mem_limit: 1m", "mem_limit", "at least 6m"),
        ("mem_limit: -1", "mem_limit", "at least 6m"),
        ("memswap_limit: 1g", "memswap_limit", "needs a memory limit"),
        ("mem_limit: 1g\nmemswap_limit: 512m", "memswap_limit", "may not be below it"),
        ("cpus: -1", "cpus", "a number of cores"),
        ("cpus: .nan", "cpus", "a number of cores"),
        ("pids_limit: 1.5", "pids_limit", "a whole number"),
        ("oom_score_adj: 2000", "oom_score_adj", "-1000 to 1000"),
        ("stop_signal: stop", "stop_signal", "SIGTERM, TERM or 15"),
        ("stop_signal: 70", "stop_signal", "SIGTERM, TERM or 15"),
        ("stop_grace_period: 10", "stop_grace_period", "such as 10s or 1m30s"),
        ("stop_grace_period: 2d", "stop_grace_period", "0s to 24h"),
        ("pull_policy: build", "pull_policy", "always, missing, if_not_present, never"),
        ("pull_policy: daily", "pull_policy", "always, missing, if_not_present, never"),
        ("platform: windows/amd64", "platform", "such as linux/amd64"),
        ("logging: syslog", "logging", "a mapping with driver, options"),
        ("logging: {driver: A B}", "logging.driver", "a driver's name"),
        ("logging: {options: {max-size: [1]}}", "logging.options.max-size", "a list does not fit"),
        ("healthcheck: curl", "healthcheck", "a mapping with test"),
        ("healthcheck: {test: [curl]}", "healthcheck.test", "begins with CMD or CMD-SHELL"),
        ("healthcheck: {test: [CMD]}", "healthcheck.test", "begins with CMD or CMD-SHELL"),
        ("healthcheck: {test: ''}", "healthcheck.test", "begins with CMD or CMD-SHELL"),
        ("healthcheck: {interval: 30}", "healthcheck.interval", "such as 10s"),
        ("healthcheck: {timeout: 0s}", "healthcheck.timeout", "1ms to 24h"),
        ("healthcheck: {retries: 0}", "healthcheck.retries", "1 to 10000"),
        ("healthcheck: {intervall: 3s}", "healthcheck.intervall", "did you mean interval?"),
        ("mac_address: x", "mac_address", "a MAC address"),
    ],
)
def test_wrong(lines: str, field: str, problem: str) -> None:
    found = web_problems(f"tty: true\n{lines}")
    assert len(found) == 1
    line = 5 + lines.count("\n")
    assert found[0].startswith(f"compose.yaml:{line}: services.web.{field}")
    assert problem in found[0]


def test_an_interval_of_the_start_is_not_used() -> None:
    assert "interval is used" in web_warnings("healthcheck: {start_interval: 1s}")[0]
