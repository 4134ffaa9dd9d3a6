"""Random Compose files: mostly right, put together from entries of every kind."""

from __future__ import annotations

import json

from hypothesis import strategies as st

ENTRIES: dict[str, list[object]] = {
    "command": ["a 'b c'", ["a", 1], [], None, "'"],
    "environment": [{"A": "1", "B": None}, ["A=1", "B"], {"A B": 1}, {"A": "\ud800"}],
    "ports": [
        ["80"],
        ["8080:80", "8080:80/udp"],
        ["8080:80/tcp"],
        ["1-5"],
        [{"target": 80}],
        ["80:80", "80:81"],
    ],
    "expose": [["80", 81], ["80-90/udp"], ["0"], ["99999"]],
    "volumes": [
        ["/a:/b"],
        ["data:/data"],
        ["/x"],
        ["/a:/a:ro,z"],
        ["/a:/../b"],
        ["/a:/b/./c"],
        ["/..:/b"],
    ],
    "tmpfs": ["/run", ["/run", "/tmp:size=1m"], ["/.", "x"]],
    "networks": [
        ["front"],
        {"front": {"aliases": ["a"]}},
        {"back": {"ipv4_address": "10.9.0.5"}},
        [],
    ],
    "network_mode": ["host", "none", "bridge", "x"],
    "extra_hosts": [["a:10.0.0.1"], {"a": "::1"}, ["a=[::1]"], [":"]],
    "devices": [["/dev/a"], ["/dev/a:rw"], [{"source": "/dev/a"}], ["/dev/a:/dev/b:r", "/x:y:z"]],
    "ulimits": [
        {"nofile": 5},
        {"nofile": {"soft": 1, "hard": 2}},
        {"nofile": {"soft": 3, "hard": 2}},
    ],
    "mem_limit": ["64m", 0, "1g"],
    "memswap_limit": ["128m", -1, 0],
    "cpus": ["0.5", 1, 1e300],
    "deploy": [
        {"replicas": 3},
        {"mode": "global"},
        {"mode": "global", "replicas": 2},
        {"resources": {"limits": {"memory": "32m", "pids": 5}, "reservations": {"cpus": 1}}},
        {"placement": {"constraints": ["node.labels.a==b ", " node.id !=x"]}},
        {"restart_policy": {"condition": "on-failure", "delay": "1s"}},
        {"update_config": {"parallelism": 0, "delay": "24h"}},
    ],
    "restart": ["always", "no", "on-failure:3"],
    "healthcheck": [{"test": "x"}, {"test": ["CMD", "x"]}, {"disable": True}, {"interval": "0s"}],
    "configs": [["site"], [{"source": "site", "target": "x/y", "mode": 0o400}], ["site", "site"]],
    "secrets": [["key"], [{"source": "key", "target": "/k"}]],
    "depends_on": [
        ["web"],
        ["db"],
        {"db": {"condition": "service_completed_successfully"}},
        {"x": {"required": False}},
    ],
    "links": [["db:other"], ["web"]],
    "user": [1000, "a:b", "a b"],
    "labels": [{"a": 1}, ["a=b"], {"io.hullmark.app": "x"}],
    "sysctls": [{"net.core.somaxconn": 5}, {"x": 1}],
    "logging": [{"driver": "local", "options": {"max-size": "1m"}}, {"options": {"a b": 1}}],
    "platform": ["linux/amd64", "linux/arm/v7", "plan9/x"],
    "stop_signal": ["SIGINT", 9, "SIGRTMIN+3"],
    "dns_search": [".", ["a.b"]],
    "mac_address": ["02:42:ac:11:00:02"],
    "x-hullmark": [
        {"one_shot": True, "on_host_lost": "stop", "scope": "cde"},
        {"require": ["audit-trail", {"control": "time", "level": 3}]},
    ],
}
TOP = {
    "networks": {
        "front": None,
        "back": {"ipam": {"config": [{"subnet": "10.9.0.0/24", "gateway": "10.9.0.1"}]}},
    },
    "volumes": {"data": {"driver_opts": {"o": "bind"}}},
    "configs": {"site": {"content": "hello"}},
    "secrets": {"key": {"file": "/etc/key"}},
}
GOOD = json.dumps({**TOP, "services": {"web": {"image": "nginx", "ports": ["80"]}}})


def _service() -> st.SearchStrategy[dict[str, object]]:
    keys = st.lists(st.sampled_from(sorted(ENTRIES)), max_size=4, unique=True)
    return keys.flatmap(
        lambda chosen: st.fixed_dictionaries(
            {"image": st.just("nginx"), **{key: st.sampled_from(ENTRIES[key]) for key in chosen}}
        )
    )


def files() -> st.SearchStrategy[str]:
    """JSON is YAML."""
    both = st.fixed_dictionaries({"web": _service(), "db": _service()})
    return both.map(lambda services: json.dumps({**TOP, "services": services}))
