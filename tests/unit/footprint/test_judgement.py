"""What is announced, and above all what isn't."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Optional

import pytest

from hullmark.footprint.announcements import ANNOUNCEMENTS, MEANING, If, Whose
from hullmark.footprint.comparison import compare
from hullmark.footprint.judgement import Judge, expression, reached
from hullmark.footprint.snapshot import KINDS, sha256
from tests.unit.footprint.conftest import file, of

Given = Optional[dict[str, Any]]
BRIDGE = "br-0123456789ab"
CONTAINER = "0123456789abcdef" * 4
CHAIN = "nft table ip filter chain FORWARD"


def package(name: str, version: str = "1", *needs: str) -> dict[str, Any]:
    return {
        "kind": "package",
        "key": f"{name}:all",
        "version": version,
        "state": "installed",
        "needs": list(needs),
    }


def account(path: str, name: str, *lines: str) -> dict[str, Any]:
    return {"kind": "account", "key": f"{path}:{name}", "lines": list(lines)}


def thing(kind: str, key: str, **fields: Any) -> dict[str, Any]:
    return {"kind": kind, "key": key, **fields}


def judged(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> dict[str, str]:
    """The announcement of each difference by its key, or empty."""
    found = compare(of(*before), of(*after))
    judge = Judge(found, ["/root/before.gz"])
    return {
        one.key: (judge.announcement(one).name if judge.announcement(one) else "")  # type: ignore[union-attr]
        for one in found.differences
    }


def added(one: dict[str, Any]) -> str:
    """To a picture for which that kind was looked at too."""
    other = thing(one["kind"], "a/other", **({"lines": []} if "lines" in one else {}))
    return judged([other], [other, one])[one["key"]]


@pytest.mark.parametrize(
    ("one", "announcement"),
    [
        (file("/etc/hullmark/agent.yaml"), "configuration"),
        (file("/var/lib/hullmark/agent/host.key"), "state"),
        (file("/etc/systemd/system/multi-user.target.wants/hullmark-agent.service"), "enabled"),
        (file("/etc/rc2.d/S01hullmark-agent"), "runlevels"),
        (file("/var/lib/hullmark/x", mode="4755"), ""),
        (file("/etc/hullmark/x", mode="2755"), ""),
        (file("/etc/hullmark/x", mode="0666"), ""),
        (file("/var/lib/hullmark/x", type="folder", mode="0777"), ""),
        (file("/var/lib/hullmark/x", type="folder", mode="2750"), "state"),
        (file("/var/lib/hullmark/x", type="link", mode="0777"), "state"),
        (file("/var/lib/hullmark/x", type="device", device="8:0"), ""),
        (file("/var/lib/hullmark/x", type="pipe"), ""),
        (file("/var/lib/hullmark/x", capability="0100"), ""),
        (file("/etc/hullmark/agent.yaml", acl="0200"), ""),
        (file("/etc/hullmark/agent.yaml", attributes="i"), ""),
        (file("/root/before.gz", mode="4755"), ""),
        (file("/var/log/journal/x", type="folder", mode="2755", acl="02", default_acl="02"), "journal"),
        (file("/var/log/journal/x/y.journal", mode="4755"), ""),
        (file("/tmp/systemd-private-1/tmp", type="folder", mode="1777"), "private-tmp"),
        (file("/tmp/systemd-private-1/tmp/x", mode="4755"), ""),
        (file("/run/systemd/system/docker.service.d/evil.conf"), ""),
        (file("/root/before.gz"), "own-picture"),
        (file("/var/log/syslog.2.gz"), "rotated"),
        (file("/var/log/syslog.1"), "rotated"),
        (file("/etc/cron.d/planted"), ""),
        (file("/etc/hullmark.d/x"), ""),
        (file("/etc/systemd/system/multi-user.target.wants/evil.service"), ""),
        (file("/etc/systemd/system/hullmark-agent.service.d/override.conf"), ""),
        (file("/etc/rc2.d/S01evil"), ""),
        (file("/etc/apt/sources.list.d/evil.list"), ""),
        (file("/usr/share/hullmark/hullmark/evil.py"), ""),
        (file("/usr/local/bin/x"), ""),
        (file("/tmp/x"), ""),
        (file("/root/.ssh/authorized_keys"), ""),
        (file("/var/spool/cron/crontabs/root"), ""),
        (file("/var/log/evil"), ""),
        (account("/etc/passwd", "hullmark", "hullmark:x:998:998::/var/lib/hullmark/master:/usr/sbin/nologin"), "user"),
        (account("/etc/passwd", "hullmark", "hullmark:x:0:0::/var/lib/hullmark:/bin/bash"), ""),
        (account("/etc/passwd", "hullmark", "hullmark:x:0:0::/:/usr/sbin/nologin"), ""),
        (account("/etc/passwd", "hullmark", "hullmark:x:998:0::/:/usr/sbin/nologin"), ""),
        (account("/etc/passwd-", "hullmark", "hullmark:x:100:103::/var/lib/hullmark/master:/usr/sbin/nologin"), "user-copy"),
        (account("/etc/passwd-", "hullmark", "hullmark:x:0:103::/:/usr/sbin/nologin"), ""),
        (account("/etc/group-", "hullmark", "hullmark:x:103:"), "group-copy"),
        (account("/etc/shadow", "hullmark", sha256("hullmark:!:20785::::::")), "shadow"),
        (account("/etc/shadow-", "hullmark", sha256("hullmark:*:20785::::::")), "shadow-copy"),
        (account("/etc/shadow", "hullmark", sha256("hullmark::20785::::::")), ""),
        (account("/etc/shadow", "hullmark", sha256("hullmark:$y$j9T$x:20785::::::")), ""),
        (account("/etc/gshadow", "hullmark", sha256("hullmark:!::")), "shadow"),
        (account("/etc/gshadow", "docker", sha256("docker:!::mallory")), ""),
        (account("/etc/passwd", "hullmark", "hullmark::998:998::/:/usr/sbin/nologin"), ""),
        (account("/etc/passwd", "evil", "evil:x:0:0::/:/usr/sbin/nologin"), ""),
        (account("/etc/group", "hullmark", "hullmark:x:998:"), "group"),
        (account("/etc/group", "hullmark", "hullmark:x:998:mallory"), ""),
        (account("/etc/group", "hullmark", "hullmark:x:0:"), ""),
        (account("/etc/group", "docker", "docker:x:0:"), ""),
        (account("/etc/group", "docker", "docker:x:120:"), "engine-group"),
        (account("/etc/group", "docker", "docker:x:120:mallory"), ""),
        (account("/etc/sudoers", "hullmark", "x"), ""),
        (thing("unit", "hullmark-agent.service", enabled="enabled"), "unit"),
        (thing("unit", "evil.service", enabled="enabled"), ""),
        (thing("unit", "evil.timer", enabled="enabled"), ""),
        (thing("unit", f"{CONTAINER}.timer", enabled="transient"), "health-timer"),
        (thing("process", "0 agentd /usr/bin/python3.11", units=["hullmark-agent.service"]), "process"),
        (thing("process", "0 agentd /usr/bin/python3.11", units=[""]), "process"),
        (thing("process", "0 agentd /usr/bin/python3.11", units=["hullmark-agent.service", "cron.service"]), ""),
        (thing("process", "1000 masterd /usr/bin/python3.11", units=["user.slice"]), ""),
        (thing("process", "0 nc /usr/bin/nc", units=["user.slice"]), ""),
        (thing("process", "0 docker-proxy /tmp/docker-proxy", units=[""]), ""),
        (thing("process", "0 docker-proxy /usr/bin/docker-proxy", units=["docker.service"]), "engine-process"),
        (thing("process", "0 x /usr/bin/dockerd /tmp/evil", units=[""]), ""),
        (thing("process", "33 httpd /bin/busybox", units=[f"container {CONTAINER}"]), "container-process"),
        (thing("process", "33 httpd /bin/busybox", units=[f"container {CONTAINER}", "cron.service"]), ""),
        (thing("socket", "tcp 0.0.0.0:7442", holders=["/usr/bin/python3.11"]), "listener"),
        (thing("socket", "tcp 0.0.0.0:7442", holders=["/usr/bin/nc.openbsd"]), ""),
        (thing("socket", "tcp 0.0.0.0:4444", holders=["/usr/bin/nc.openbsd"]), ""),
        (thing("socket", "tcp 0.0.0.0:4444", holders=[""]), ""),
        (thing("socket", "tcp 0.0.0.0:8080", holders=["/usr/bin/docker-proxy"]), "published"),
        (thing("socket", "tcp 0.0.0.0:8080", holders=["/usr/bin/docker-proxy", "/tmp/evil"]), ""),
        (thing("socket", "tcp 10.214.0.3:5432", holders=["/usr/sbin/haproxy of hullmark-proxy"]), "proxy-listener"),
        (thing("socket", "tcp 0.0.0.0:80", holders=["/usr/sbin/haproxy"]), ""),
        (thing("socket", "tcp 0.0.0.0:80", holders=["/tmp/x /usr/sbin/haproxy of hullmark-proxy"]), ""),
        (thing("socket", "unix /run/hullmark-proxy/master.sock", holders=["/usr/sbin/haproxy of hullmark-proxy"]), "proxy-door"),
        (thing("process", "106 haproxy /usr/sbin/haproxy", units=["hullmark-proxy.service"]), "proxy-process"),
        (thing("process", "0 haproxy /usr/sbin/haproxy", units=["haproxy.service", "hullmark-proxy.service"]), "proxy-process"),
        (thing("process", "0 haproxy /usr/sbin/haproxy", units=["user.slice"]), ""),
        (thing("process", "0 proxy /usr/bin/dash", units=[""]), "proxy-launcher"),
        (thing("process", "0 proxy /tmp/proxy", units=[""]), ""),
        (thing("network", "address 10.214.0.3/32 dev lo"), "service-address"),
        (thing("network", "address 10.214.0.3/24 dev lo"), ""),
        (thing("network", "address 10.214.0.3/32 dev eth0"), ""),
        (thing("network", "route -4 10.214.0.3 dev lo table local type local"), "service-address"),
        (thing("unit", "haproxy.service", enabled="enabled"), "haproxy-unit"),
        (account("/etc/passwd", "haproxy", "haproxy:x:105:113::/var/lib/haproxy:/usr/sbin/nologin"), "haproxy-user"),
        (account("/etc/passwd", "haproxy", "haproxy:x:0:113::/var/lib/haproxy:/usr/sbin/nologin"), ""),
        (account("/etc/group", "haproxy", "haproxy:x:113:mallory"), ""),
        (file("/var/lib/haproxy/dev/log", type="socket", mode="0666"), "haproxy-log"),
        (file("/var/lib/haproxy/dev/log", mode="4755"), ""),
        (file("/var/lib/hullmark-proxy/haproxy.cfg", mode="0600"), "proxy-state"),
        (file("/var/lib/hullmark-proxy/x", mode="4755"), ""),
        (thing("socket", "tcp [::]:2375", holders=["/usr/sbin/dockerd"]), ""),
        (thing("socket", "tcp 0.0.0.0:8888", holders=["/usr/bin/podman"]), ""),
        (thing("socket", "tcp 0.0.0.0:8080", holders=["/usr/bin/conmon"]), "published"),
        (thing("socket", "tcp 127.0.0.1:38193", holders=["/usr/bin/containerd"]), "engine-stream"),
        (thing("socket", "tcp 0.0.0.0:38193", holders=["/usr/bin/containerd"]), ""),
        (thing("socket", "tcp 127.0.0.1:2375", holders=["/usr/sbin/dockerd"]), ""),
        (thing("socket", f"unix /var/run/docker/libnetwork/{CONTAINER[:12]}.sock", holders=["/usr/sbin/dockerd"]), "engine-socket"),
        (thing("socket", "unix /proc/self/fd/12/attach", holders=["/usr/bin/conmon"]), "attach"),
        (thing("socket", "unix /proc/self/fd/12/attach", holders=["/usr/bin/nc"]), ""),
        (thing("socket", "unix /tmp/evil.sock", holders=["/usr/bin/nc"]), ""),
        (thing("network", f"interface {BRIDGE}", master=""), "bridge"),
        (thing("network", "route -6 fe80::1 dev eth0 table local type local"), "link-local"),
        (thing("network", "route -4 0.0.0.0/0 dev lo table local type local"), ""),
        (thing("network", "interface tun0", master=""), ""),
        (thing("network", "address 10.9.9.9/24 dev eth0"), ""),
        (thing("network", f"route -4 10.213.0.0/25 dev {BRIDGE}"), "bridge-route"),
        (thing("network", "route -4 10.213.0.0/25 via 10.0.0.9 dev eth0"), ""),
        (thing("module", "br_netfilter"), "engine-module"),
        (thing("module", "rootkit"), ""),
        (thing("sysctl", f"net/ipv4/conf/{BRIDGE}/rp_filter", value="1"), "bridge-setting"),
        (thing("skipped", "/srv/hidden", reason="in memory only: tmpfs"), ""),
        (package("hullmark-agent"), "package"),
        (package("netcat"), ""),
    ],
)  # fmt: skip
def test_what_was_added(one: dict[str, Any], announcement: str) -> None:
    assert added(one) == announcement


@pytest.mark.parametrize(
    ("before", "after", "announcement"),
    [
        (file("/var/log/syslog", "1"), file("/var/log/syslog", "2", size=9), "log"),
        (file("/var/log/syslog", "1"), file("/var/log/syslog", "2", mode="0666"), ""),
        (file("/var/log/journal/x/system.journal", "1"), file("/var/log/journal/x/system.journal", "2"), "journal"),
        (file("/etc/sudoers", "1"), file("/etc/sudoers", "2"), ""),
        (file("/etc/passwd", "1"), file("/etc/passwd", "2"), ""),
        (file("/var/lib/dpkg/status", "1"), file("/var/lib/dpkg/status", "2"), ""),
        (file("/etc/ld.so.cache", "1"), file("/etc/ld.so.cache", "2"), ""),
        (file("/usr/bin/sudo", "1", package="sudo"), file("/usr/bin/sudo", "2", package="sudo"), ""),
        (file("/usr/bin/x"), file("/usr/bin/x", mode="4755"), ""),
        (thing("sysctl", "kernel/random/uuid", value="1"), thing("sysctl", "kernel/random/uuid", value="2"), "counter"),
        (thing("sysctl", "net/ipv4/ip_forward", value="0"), thing("sysctl", "net/ipv4/ip_forward", value="1"), "forwarding"),
        (thing("sysctl", "net/ipv4/conf/all/accept_redirects", value="1"), thing("sysctl", "net/ipv4/conf/all/accept_redirects", value="0"), "redirects"),
        (thing("sysctl", "net/ipv4/conf/all/accept_redirects", value="0"), thing("sysctl", "net/ipv4/conf/all/accept_redirects", value="1"), ""),
        (thing("sysctl", "kernel/randomize_va_space", value="2"), thing("sysctl", "kernel/randomize_va_space", value="0"), ""),
        (thing("unit", "auditd.service", active="active"), thing("unit", "auditd.service", active="failed"), ""),
        (thing("unit", "man-db.service", active="active"), thing("unit", "man-db.service", active="inactive"), "periodic"),
        (thing("unit", "ldconfig.service", active="active", sub="exited"), thing("unit", "ldconfig.service"), "periodic"),
        (thing("unit", "man-db.service", enabled="static"), thing("unit", "man-db.service", enabled="masked"), ""),
        (thing("unit", "apt-daily.timer", sub="waiting"), thing("unit", "apt-daily.timer", sub="running"), "timer"),
        (thing("unit", "apt-daily.timer", active="active"), thing("unit", "apt-daily.timer", active="inactive"), ""),
        (thing("audit", "daemon", program="/usr/sbin/auditd"), thing("audit", "daemon", program=""), ""),
        (thing("audit", "lost", value="0"), thing("audit", "lost", value="7"), ""),
        (account("/etc/passwd", "hullmark", "a"), account("/etc/passwd", "hullmark", "hullmark:x:998:998::/:/usr/sbin/nologin"), ""),
        (package("cron", "1"), package("cron", "2"), ""),
    ],
)  # fmt: skip
def test_what_changed(before: dict[str, Any], after: dict[str, Any], announcement: str) -> None:
    assert judged([before], [after]) == {before["key"]: announcement}


@pytest.mark.parametrize(
    ("key", "line", "announcement"),
    [
        ("nft table ip nat chain DOCKER", "tcp dport 8080 counter dnat to 10.213.0.2:80", "engine-chain"),
        (CHAIN, f'oifname "{BRIDGE}" counter jump DOCKER', "engine-jump"),
        ("nft table ip nat chain POSTROUTING", f'ip saddr 10.213.0.0/25 oifname != "{BRIDGE}" counter masquerade', "engine-masquerade"),
        ("nft table ip nat chain POSTROUTING", f'oifname != "{BRIDGE}" ip saddr 10.213.0.0/25 counter masquerade', "engine-masquerade"),
        ("nft table ip nat chain POSTROUTING", 'ip saddr 10.213.0.0/25 oifname != "eth0" counter masquerade', ""),
        ("nft table ip nat chain POSTROUTING", "ip saddr 10.213.0.2 ip daddr 10.213.0.2 tcp dport 8080 counter masquerade", "engine-masquerade"),
        ("nft table ip nat chain POSTROUTING", "ip saddr 10.213.0.2 ip daddr 10.213.0.9 tcp dport 8080 counter masquerade", ""),
        ("nft table ip nat chain PREROUTING", "tcp dport 22 dnat to 10.213.0.9:22", ""),
        ("nft table ip filter chain INPUT", "ip saddr 10.213.0.0/16 accept", ""),
        ("nft table ip filter chain INPUT", f'iifname "{BRIDGE}" oifname "{BRIDGE}" counter accept', ""),
        (CHAIN, f'oifname "{BRIDGE}" ct state related,established counter accept', "engine-forward"),
        (CHAIN, f'iifname "{BRIDGE}" oifname != "{BRIDGE}" counter accept', "engine-forward"),
        (CHAIN, f'iifname "eth0" oifname "{BRIDGE}" counter accept', ""),
        (CHAIN, f'oifname "{BRIDGE}" counter accept', ""),
        ("nft table ip raw chain PREROUTING", f'ip daddr 10.213.0.2 iifname != "{BRIDGE}" counter drop', "engine-shield"),
        ("nft table ip raw chain PREROUTING", 'ip daddr 127.0.0.1 iifname != "lo" tcp dport 8080 counter drop', "engine-shield"),
        ("nft table ip raw chain PREROUTING", 'iifname != "lo" ip daddr 127.0.0.1 udp dport 53 counter drop', "engine-shield"),
        ("nft table ip raw chain PREROUTING", 'ip daddr 127.0.0.1 iifname != "lo" tcp dport 8080 counter accept', ""),
        ("nft table ip raw chain PREROUTING", "ip daddr 127.0.0.1 tcp dport 8080 counter drop", ""),
        ("nft table ip filter chain DOCKER-USER", "counter return", "admins-chain"),
        ("nft table ip filter chain DOCKER-USER", "ip saddr 198.51.100.0/24 counter drop", ""),
        ("nft table ip filter chain DOCKER-EVIL", "counter accept", ""),
        (CHAIN, "type filter hook forward priority filter; policy drop;", "engine-table"),
        (CHAIN, "counter accept", ""),
        (CHAIN, 'iifname "eth0" counter jump EVIL', ""),
        ("nft table ip filter chain INPUT", "tcp dport 4444 counter accept", ""),
        ("nft table inet shop chain input", f'iifname "{BRIDGE}" accept', ""),
        ("nft table inet shop chain DOCKER", "accept", ""),
    ],
)  # fmt: skip
def test_firewall_rules(key: str, line: str, announcement: str) -> None:
    before = thing("firewall", key, lines=["counter log"])
    after = thing("firewall", key, lines=["counter log", line])
    assert judged([before], [after]) == {key: announcement}
    assert judged([after], [before]) == {key: announcement}


def test_the_rule_that_leads_to_the_admins_chain_has_to_stay() -> None:
    def chain(*lines: str) -> dict[str, Any]:
        return thing("firewall", CHAIN, lines=["counter log", *lines])

    jump = "counter jump DOCKER-USER"
    assert judged([chain()], [chain(jump)]) == {CHAIN: "admins-jump"}
    assert judged([chain("x", jump)], [chain(jump)]) == {CHAIN: ""}
    assert judged([chain(jump)], [chain()]) == {CHAIN: ""}
    found = compare(of(chain(jump, "a", "b")), of(chain("a", "b", jump)))
    assert {Judge(found).announcement(one).name for one in found.differences} == {"admins-jump"}  # type: ignore[union-attr]


def test_files_of_packages_that_changed_and_of_no_others() -> None:
    library = "/usr/lib/python3/dist-packages/docker/api.py"
    before = [package("cron"), file("/usr/sbin/cron", "1", package="cron")]
    after = [
        package("cron"),
        package("hullmark-agent", "1", "python3-docker"),
        package("python3-docker"),
        file(library, package="python3-docker"),
        file("/usr/sbin/cron", "2", package="cron"),
        file("/var/lib/dpkg/info/python3-docker.list"),
        file("/var/lib/dpkg/info/cron.postinst"),
        file("/var/lib/dpkg/info/evil.postinst"),
    ]
    assert judged(before, after) == {
        "hullmark-agent:all": "package",
        "python3-docker:all": "package",
        library: "package-file",
        "/usr/sbin/cron": "",
        "/var/lib/dpkg/info/python3-docker.list": "package-record",
        "/var/lib/dpkg/info/cron.postinst": "",
        "/var/lib/dpkg/info/evil.postinst": "",
    }


def test_rights_of_a_packages_files_are_not_announced_but_of_those_that_are_named() -> None:
    tool, library = "/usr/bin/hullmark", "/usr/share/hullmark/hullmark/errors.py"
    mapper = "/usr/bin/newuidmap"
    before = [package("hullmark"), package("uidmap")]
    after = [
        package("hullmark", "2", "uidmap"),
        package("uidmap", "2"),
        file(tool, mode="4755", package="hullmark"),
        file(library, package="hullmark", attributes="i"),
        file(mapper, mode="4755", package="uidmap"),
        file("/usr/bin/getsubids", mode="6755", package="uidmap"),
    ]
    found = judged(before, after)
    assert [found[path] for path in (tool, library, mapper, "/usr/bin/getsubids")] == [
        *("", "", "set-id", "")
    ]


@pytest.mark.parametrize("given", [{"mode": "4755"}, {"acl": "02"}, {"attributes": "i"}])
def test_rights_that_a_file_was_given_later(given: dict[str, str]) -> None:
    path = "/etc/hullmark/agent.yaml"
    assert judged([file(path)], [file(path, **given)]) == {path: ""}
    assert judged([file(path, **given)], [file(path)]) == {path: "configuration"}
    moved = judged([file(path, owner="998:998", **given)], [file(path, owner="0:0", **given)])
    assert moved == {path: ""}


def test_a_file_of_ours_changed_without_its_package() -> None:
    own = "/usr/share/hullmark/hullmark/errors.py"
    both = [package("hullmark")]
    found = judged(
        [*both, file(own, "1", package="hullmark")], [*both, file(own, "2", package="hullmark")]
    )
    assert found == {own: ""}


def test_a_file_of_accounts_changed_by_the_lines_that_are_told_apart() -> None:
    line = "hullmark:x:998:998::/:/usr/sbin/nologin"
    root = account("/etc/passwd", "root", "root:x:0:0::/root:/bin/bash")
    copy = account("/etc/passwd-", "root", "root:x:0:0::/root:/bin/bash")
    evil = account("/etc/passwd-", "evil", "evil:x:0:0::/:/bin/sh")
    before = [root, file("/etc/passwd", "1")]
    after = [
        root,
        account("/etc/passwd", "hullmark", line),
        copy,
        evil,
        file("/etc/passwd", "2", size=2),
    ]
    found = judged(before, after)
    assert found == {
        "/etc/passwd:hullmark": "user",
        "/etc/passwd-:root": "account-copy",
        "/etc/passwd-:evil": "",
        "/etc/passwd": "account-file",
    }
    after[-1]["mode"] = "0666"
    assert judged(before, after)["/etc/passwd"] == ""


def test_links_of_init_scripts_that_only_have_another_number() -> None:
    def link(path: str, target: str = "../init.d/rsyslog") -> dict[str, Any]:
        return thing("file", path, type="link", mode="0777", owner="0:0", target=target)

    moved = judged([link("/etc/rc0.d/K04rsyslog")], [link("/etc/rc0.d/K05rsyslog")])
    assert moved == {"/etc/rc0.d/K04rsyslog": "renumbered", "/etc/rc0.d/K05rsyslog": "renumbered"}
    for other in (
        link("/etc/rc0.d/S05rsyslog"),
        link("/etc/rc1.d/K05rsyslog"),
        link("/etc/rc0.d/K05rsyslog", "/tmp/evil"),
    ):
        assert set(judged([link("/etc/rc0.d/K04rsyslog")], [other]).values()) == {""}
    assert judged([link("/etc/rc0.d/K04rsyslog")], []) == {"/etc/rc0.d/K04rsyslog": ""}
    assert judged([], [file("/etc/rc0.d/K04rsyslog")]) == {"/etc/rc0.d/K04rsyslog": ""}


def test_packages_are_reached_through_others() -> None:
    needs = {"hullmark-agent": ["a"], "a": ["b", "a"], "b": [], "c": ["b"]}
    found = reached(needs)
    assert {"hullmark-agent", "a", "b"} <= found
    assert "c" not in found


def test_the_table_is_sound() -> None:
    names = [one.name for one in ANNOUNCEMENTS]
    assert len(names) == len(set(names))
    assert set(MEANING) == set(Whose)
    for one in ANNOUNCEMENTS:
        assert one.kind in KINDS, one.name
        assert one.reason, one.name
        assert set(one.changes.split()) <= {"added", "removed", "changed"}, one.name
        re.compile(one.values[1])
        for pattern in one.patterns:
            expression(pattern)


BROAD = re.compile(r"/(etc|usr|var|var/lib|home|root|bin|lib)?/?\*\*")


def test_no_line_announces_whole_trees_of_others() -> None:
    for one in ANNOUNCEMENTS:
        if one.kind == "file" and one.condition is If.ALWAYS:
            assert not [pattern for pattern in one.patterns if BROAD.fullmatch(pattern)], one.name
            assert not [
                pattern for pattern in one.patterns if expression(pattern).fullmatch("/etc/x/y")
            ]


def test_the_page_lists_exactly_what_is_announced() -> None:
    page = Path(__file__).parents[3] / "docs/operations/footprint.md"
    told = {}
    for line in page.read_text().splitlines():
        if re.match(r"\| `[a-z-]+` \|", line):
            name, kind, what, changes, only, why = re.split(r"(?<!\\)\|", line)[1:-1]
            told[name.strip(" `")] = (
                kind.strip(),
                re.findall("`([^`]+)`", what),
                changes.strip(),
                re.findall("`([^`]+)`", only.replace("\\|", "|")),
                why.strip(),
            )
    assert told == {
        one.name: (
            one.kind,
            list(one.patterns),
            ", ".join(one.changes.split()),
            [*one.fields, *([one.values[1]] if one.values[0] else [])],
            one.reason,
        )
        for one in ANNOUNCEMENTS
    }
    conditions = [one.condition.value for one in ANNOUNCEMENTS if one.condition is not If.ALWAYS]
    assert all(page.read_text().count(text) == conditions.count(text) for text in conditions)
