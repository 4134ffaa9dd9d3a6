"""What the documentation announces: everything that Hullmark, its packages, the engine for its containers and the host by itself
may change on a host. One line each, and nothing else is announced; docs/operations/footprint.md lists exactly these.

In a pattern `*` stands for anything without a slash, `**` for anything, `{n}` for a number, `{id}` for the twelve hexadecimal digits of
an engine's network, `{container}` for the sixty-four of a container, `{package}` for a package that is announced.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Whose(enum.Enum):
    HULLMARK = "hullmark"
    CONTAINERS = "containers"
    PACKAGES = "packages"
    ITSELF = "itself"


MEANING = {
    Whose.HULLMARK: "Hullmark's own",
    Whose.CONTAINERS: "its containers', made by the engine for them",
    Whose.PACKAGES: "of installing packages",
    Whose.ITSELF: "moves by itself",
}


class If(enum.Enum):
    """What has to hold besides."""

    ALWAYS = ""
    PACKAGE_ANNOUNCED = "it is one of Hullmark's packages, or one that these depend on or recommend"
    OF_PACKAGE = (
        "it belongs to an announced package that was installed, changed or removed in between"
    )
    PACKAGES_DIFFER = "packages were installed, changed or removed in between; each is listed"
    LINES_DIFFER = "lines of it differ; each is listed and judged"
    RENUMBERED = "the same link is there before and after, but for its number"
    COPY_OF_LINE = "the line is as it is or was in the file itself"
    STILL_THERE = "the rule is there afterwards, in whatever place"
    LOCKED = "the hash is that of a line without a password, of a day from 2019 to 2052"


@dataclass(frozen=True)
class Announcement:
    """`changes`: which of added, removed and changed; `fields`: what alone may differ of a changed thing (empty: anything).
    `values`: of this field every value has to match the expression."""

    name: str
    whose: Whose
    kind: str
    patterns: tuple[str, ...]
    reason: str
    changes: str = "added changed removed"
    fields: tuple[str, ...] = ()
    values: tuple[str, str] = ("", "")
    condition: If = If.ALWAYS


def _rows(whose: Whose, *rows: tuple[object, ...]) -> tuple[Announcement, ...]:
    return tuple(Announcement(str(row[0]), whose, *row[1:]) for row in rows)  # type: ignore[arg-type]


CONTENT = ("size", "sha256", "changing", "mtime_ns", "unread")
ADDED, CHANGED = "added", "changed"
_TMP = tuple(
    f"{folder}/systemd-private-*{below}"
    for folder in ("/tmp", "/var/tmp")  # noqa: S108
    for below in ("", "/**")
)
ACCOUNT_PATHS = tuple(
    f"/etc/{name}" for name in ("passwd", "group", "shadow", "gshadow", "subuid", "subgid")
)
SYSTEM_USER = r"hullmark:[x!*]:[1-9]\d\d:[1-9]\d\d:[^:]*:(/var/lib/hullmark(/master)?|/nonexistent|/):(/usr)?/s?bin/(nologin|false)"
HAPROXY_USER = (
    r"haproxy:[x!*]:[1-9]\d\d:[1-9]\d\d:[^:]*:/var/lib/haproxy:(/usr)?/s?bin/(nologin|false)"
)
ENGINE_PROGRAMS = (
    r"/usr/(local/)?(s?bin|libexec/podman|libexec/docker|lib/podman|libexec/cni)/"
    r"(dockerd|containerd|containerd-shim(-runc-v[12])?|docker-proxy|docker-init|runc|crun|podman|conmon"
    r"|catatonit|rootlessport|slirp4netns|pasta(\.avx2)?|netavark|aardvark-dns)"
)
PORT_PROGRAMS = (
    r"/usr/(local/)?(s?bin|libexec/podman|libexec/docker|lib/podman)/"
    r"(docker-proxy|conmon|rootlessport|slirp4netns|pasta(\.avx2)?|aardvark-dns)"
)
"""Those that listen for containers only: an open API of the engine's daemon is none of these."""
ENGINE_NETWORK = r"br-[0-9a-f]{12}|docker0|veth[0-9a-f]+|podman\d+|cni-podman\d+"
_LINKS = ("br-{id}", "docker0", "veth*", "podman{n}", "cni-podman{n}")
_FILTER = tuple(
    f"nft table {family} {table}" for family in ("ip", "ip6") for table in ("nat", "filter", "raw")
)
_DOCKERS = ("DOCKER", "DOCKER-ISOLATION-STAGE-1", "DOCKER-ISOLATION-STAGE-2", "DOCKER-FORWARD", "DOCKER-BRIDGE", "DOCKER-CT", "DOCKER-INTERNAL", "DOCKER-INGRESS")  # fmt: skip
_BRIDGE = rf"\"({ENGINE_NETWORK})\""
_END = r"counter (accept|drop)"
FORWARDED = (
    rf"oifname {_BRIDGE} ct state (related,established|established,related) counter accept"
    rf"|iifname {_BRIDGE} oifname (!= )?{_BRIDGE} {_END}"
)
MASQUERADED = (
    rf"(ip6? saddr [0-9a-f.:/]+ oifname != {_BRIDGE}|oifname != {_BRIDGE} ip6? saddr [0-9a-f.:/]+) counter masquerade"
    r"|(meta l4proto [a-z]+ )?ip saddr (?P<own>10\.213\.\d+\.\d+) ip daddr (?P=own) [a-z]+ dport \d+ counter masquerade"
)
_INSIDE = r"ip daddr 10\.213\.\d+\.\d+( [a-z]+ dport \d+)?"
_LOOPBACK, _FROM_OUTSIDE = r"ip daddr 127\.0\.0\.1", r"iifname != \"lo\""
KEPT_INSIDE = (
    rf"({_INSIDE} iifname != {_BRIDGE}|iifname != {_BRIDGE} {_INSIDE}) counter drop"
    rf"|({_LOOPBACK} {_FROM_OUTSIDE}|{_FROM_OUTSIDE} {_LOOPBACK}) [a-z]+ dport \d+ counter drop"
)
"""Versions of nft name what a rule compares in either order."""

OWN = _rows(
    Whose.HULLMARK,
    ("configuration", "file", ("/etc/hullmark", "/etc/hullmark/**"), "configuration of the agent and the master; the shop's own from then on"),
    ("state", "file", ("/var/lib/hullmark", "/var/lib/hullmark/**"), "accepted orders, keys and certificates, copies of configs, the master's store"),
    ("logs", "file", ("/var/log/hullmark", "/var/log/hullmark/**"), "the audit log, and log files where there is no systemd"),
    ("run", "file", ("/run/hullmark", "/run/hullmark/**", "/run/hullmark-agent", "/run/hullmark-agent/**"), "the master's socket, what the host's controls found last, and process ids where there is no systemd; in memory only"),
    ("proxy-state", "file", ("/var/lib/hullmark-proxy", "/var/lib/hullmark-proxy/**"), "what the proxy listens on, who may call, and its key and certificate; written by the agent"),
    ("proxy-run", "file", ("/run/hullmark-proxy", "/run/hullmark-proxy/**", "/run/hullmark-proxy.pid"), "the sockets by which the agent steers the proxy, and process ids; in memory only"),
    ("proxy-log", "file", ("/var/log/hullmark-proxy.log", "/var/log/hullmark-proxy.log.*"), "what the proxy says of itself, where there is no systemd"),
    ("enabled", "file", ("/etc/systemd/system/*.wants/hullmark-agent.service", "/etc/systemd/system/*.wants/hullmark-master.service", "/etc/systemd/system/*.wants/hullmark-proxy.service"), "the services start at boot", "added removed"),
    ("runlevels", "file", ("/etc/rc?.d/[SK]{n}hullmark-agent", "/etc/rc?.d/[SK]{n}hullmark-master", "/etc/rc?.d/[SK]{n}hullmark-proxy"), "the same where init scripts start services"),
    ("repository", "file", ("/etc/apt/sources.list.d/hullmark.*", "/etc/apt/keyrings/hullmark.*", "/usr/share/keyrings/hullmark.*", "/etc/yum.repos.d/hullmark.repo", "/etc/pki/rpm-gpg/RPM-GPG-KEY-hullmark"), "where packages come from and the key that signs them; put there by the shop"),
    ("unit", "unit", ("hullmark-agent.service", "hullmark-master.service", "hullmark-proxy.service", "hullmark-agent", "hullmark-master", "hullmark-proxy"), "the services, by systemd or by init scripts"),
    ("process", "process", ("0 agentd /usr/bin/python3*", "* masterd /usr/bin/python3*"), "the daemons, of their services, or of none where there is no systemd", "added removed", (), ("units", r"(hullmark-(agent|master)\.service)?")),
    ("service-process", "process", ("* ** /usr/bin/*", "* ** /usr/sbin/*", "* ** /bin/*", "* ** /sbin/*"), "what the daemons' services run; the agent's checks ask the host's own tools", "added removed", (), ("units", r"hullmark-(agent|master)\.service")),
    ("proxy-process", "process", ("* haproxy /usr/sbin/haproxy",), "the proxy, of its service, or of none where there is no systemd", "added removed changed", ("units",), ("units", r"(hullmark-proxy\.service|haproxy\.service)?")),
    ("proxy-launcher", "process", ("0 proxy /usr/bin/*", "0 proxy /bin/*"), "the proxy's launcher, which starts it again where there is no systemd", "added removed", (), ("units", r"(hullmark-proxy\.service)?")),
    ("proxy-listener", "socket", ("tcp *:*",), "the proxy listens at service addresses, on bridges of apps' networks only; at published ports; and for other hosts (7443)", "added removed changed", ("holders",), ("holders", r"/usr/sbin/haproxy of hullmark-proxy")),
    ("proxy-door", "socket", ("unix /run/hullmark-proxy/**",), "where the agent steers the proxy"),
    ("service-address", "network", ("address 10.214.*/32 dev lo", "route -4 10.214.* dev lo table local type local"), "addresses of services, on the loopback device alone; no other host reaches them"),
    ("listener", "socket", ("tcp *:7441", "tcp *:7442"), "a master listens for agents (7441) and for people and enrolment (7442); an agent listens nowhere", "added removed", (), ("holders", r"/usr/bin/python3[0-9.]*")),
    ("door", "socket", ("unix /run/hullmark/master.sock",), "people on the master's machine"),
    ("user", "account", ("/etc/passwd:hullmark",), "the user that the master runs as", "added", (), ("lines", SYSTEM_USER)),
    ("group", "account", ("/etc/group:hullmark",), "its group", "added", (), ("lines", r"hullmark:[x!*]:[1-9]\d\d:")),
    ("shadow", "account", ("/etc/shadow:hullmark", "/etc/gshadow:hullmark"), "their entries", "added", (), ("", ""), If.LOCKED),
    ("user-copy", "account", ("/etc/passwd-:hullmark",), "the user in the copy of that file, before the system's tools gave it its comment", "added", (), ("lines", SYSTEM_USER)),
    ("group-copy", "account", ("/etc/group-:hullmark",), "the group in the copy of that file", "added", (), ("lines", r"hullmark:[x!*]:[1-9]\d\d:")),
    ("shadow-copy", "account", ("/etc/shadow-:hullmark", "/etc/gshadow-:hullmark"), "their entries in the copies of those files", "added", (), ("", ""), If.LOCKED),
    ("own-picture", "file", (), "the pictures that are compared", "added changed"),
)  # fmt: skip

CONTAINERS = _rows(
    Whose.CONTAINERS,
    ("engine-data", "file", ("/var/lib/docker", "/var/lib/containerd", "/var/lib/containers", "/opt/containerd", "/opt/containerd/bin", "/opt/containerd/lib", "/etc/docker", "/etc/docker/key.json", "/etc/cni", "/etc/cni/net.d", "/etc/containers/networks", "/etc/containers/networks/*.json"), "folders of the engine; images, containers and volumes are in them"),
    ("engine-group", "account", ("/etc/group:docker",), "who may use Docker's socket: nobody", "added", (), ("lines", r"docker:[x!*]:[1-9]\d\d:")),
    ("engine-group-shadow", "account", ("/etc/gshadow:docker",), "its entry", "added", (), ("", ""), If.LOCKED),
    ("engine-unit", "unit", ("docker.service", "docker.socket", "containerd.service", "podman.service", "podman.socket", "podman-auto-update.service", "podman-auto-update.timer", "podman-restart.service", "podman-clean-transient.service", "docker"), "the engine's services"),
    ("health-timer", "unit", ("{container}.timer", "{container}.service", "{container}-*.timer", "{container}-*.service"), "Podman's timers for health checks"),
    ("engine-process", "process", ("* ** /**",), "the engine's daemon, and what it starts for each container and published port", "added removed changed", ("units",), ("program", ENGINE_PROGRAMS)),
    ("container-process", "process", ("**",), "what runs inside a container", "added removed changed", ("units",), ("units", r"container [0-9a-f]{64}")),
    ("published", "socket", ("tcp *:*", "udp *:*"), "a published port: a program that the engine starts for this listens for the container; never the engine's daemon", "added removed changed", ("holders",), ("holders", PORT_PROGRAMS)),
    ("engine-stream", "socket", ("tcp 127.0.0.1:{n}",), "a port of containerd's that the kernel gives it anew at each start, on this host only", "added removed", (), ("holders", r"/usr/(local/)?bin/containerd")),
    ("engine-socket", "socket", ("unix /run/docker.sock", "unix /var/run/docker.sock", "unix /run/docker/**", "unix /var/run/docker/**", "unix /run/containerd/**", "unix /run/podman/**", "unix /run/crun/**", "unix /var/lib/docker/**", "unix /var/lib/containers/**", "unix @/containerd-shim/**"), "where the engine's programs talk with each other"),
    ("attach", "socket", ("unix /proc/self/fd/{n}/attach",), "where Podman attaches to a container", "added removed", (), ("holders", ENGINE_PROGRAMS)),
    ("bridge", "network", tuple(f"interface {link}" for link in _LINKS), "a bridge for each network of an app, which with Podman keeps the hardware address that it has when the agent first sees it, and a pair of interfaces for each container"),
    ("bridge-address", "network", tuple(f"address ** dev {link}" for link in _LINKS), "their addresses; networks of apps are given theirs from 10.213.0.0/16"),
    ("bridge-route", "network", tuple(f"route -* ** dev {link}**" for link in _LINKS), "routes to them"),
    ("engine-chain", "firewall", tuple(f"{table} chain {chain}" for table in _FILTER for chain in _DOCKERS), "chains that are Docker's own"),
    ("admins-chain", "firewall", tuple(f"{table} chain DOCKER-USER" for table in _FILTER), "the chain that Docker makes for the admin, with one rule that returns; all others in it are the admin's", "added removed", (), ("line", "(counter return)?")),
    ("podman-chain", "firewall", (*(f"{table} chain NETAVARK*" for table in _FILTER), *(f"{table} chain CNI-*" for table in _FILTER), "nft table inet netavark", "nft table inet netavark **"), "chains that are Podman's own"),
    ("admins-jump", "firewall", tuple(f"{table} chain FORWARD" for table in _FILTER), "the rule that leads to the admin's chain, which Docker puts first again", "added removed", (), ("line", "counter jump DOCKER-USER"), If.STILL_THERE),
    ("engine-jump", "firewall", tuple(f"{table} chain {chain}" for table in _FILTER for chain in ("FORWARD", "PREROUTING", "OUTPUT", "POSTROUTING", "INPUT")), "rules of the shared chains that lead to those chains", "added removed", (), ("line", r".*\b(jump|goto) (DOCKER(?!-USER)|NETAVARK|CNI-)[A-Z0-9_-]*")),
    ("engine-forward", "firewall", tuple(f"{table} chain FORWARD" for table in _FILTER if table.endswith(" filter")), "what Docker lets through from and between its bridges, and answers to it", "added removed", (), ("line", FORWARDED)),
    ("engine-masquerade", "firewall", tuple(f"{table} chain POSTROUTING" for table in _FILTER if table.endswith(" nat")), "what leaves a bridge of the engine's has the host's address, and what a container of an app sends to its own published port", "added removed", (), ("line", MASQUERADED)),
    ("engine-shield", "firewall", tuple(f"{table} chain PREROUTING" for table in _FILTER if table.endswith(" raw")), "containers of apps are not reached around their published ports, nor ports of loopback from another machine", "added removed", (), ("line", KEPT_INSIDE)),
    ("engine-table", "firewall", _FILTER + tuple(f"{table} chain {chain}" for table in _FILTER for chain in ("FORWARD", "PREROUTING", "OUTPUT", "POSTROUTING", "INPUT")), "the shared chains themselves, made at the engine's first start; Docker sets FORWARD to drop", "added removed", (), ("line", r"type (nat|filter|route) hook [a-z]+ priority [a-z0-9 +-]+; policy (accept|drop);|")),
    ("forwarding", "sysctl", ("net/ipv4/ip_forward", "net/ipv4/conf/*/forwarding", "net/ipv6/conf/*/forwarding"), "the host forwards between containers and the network", CHANGED),
    ("redirects", "sysctl", ("net/ipv4/conf/*/accept_redirects",), "the kernel itself accepts none once the host forwards", CHANGED, (), ("value", "0")),
    ("bridge-setting", "sysctl", tuple(f"net/{family}/{kind}/{link}/*" for family in ("ipv4", "ipv6") for kind in ("conf", "neigh") for link in _LINKS), "settings of the bridges and pairs"),
    ("bridge-module-setting", "sysctl", ("net/bridge/*", "net/netfilter/**"), "settings that appear with the kernel's modules for them", "added removed"),
    ("engine-module", "module", ("bridge", "stp", "llc", "veth", "overlay", "br_netfilter", "nf_*", "nft_*", "nfnetlink*", "xt_*", "x_tables", "ip_tables", "ip6_tables", "iptable_*", "ip6table_*"), "modules that bridges, layers of images and packet filters need"),
    ("engine-mount", "mount", ("/var/lib/docker/**", "/run/docker/**", "/var/lib/containers/**", "/run/containers/**", "/run/containerd/**", "/run/netns", "/run/netns/**"), "root file systems and network namespaces of containers"),
    ("layers", "skipped", ("/var/lib/docker/**", "/var/lib/containers/**", "/run/**"), "what is mounted for containers is not looked at"),
)  # fmt: skip

PACKAGES = _rows(
    Whose.PACKAGES,
    ("package", "package", ("**",), "a package that was installed, upgraded or removed", "added changed removed", (), ("", ""), If.PACKAGE_ANNOUNCED),
    ("package-file", "file", ("**",), "a file of a package, or Python's bytecode of it", "added changed removed", (), ("", ""), If.OF_PACKAGE),
    ("set-id", "file", ("/usr/bin/fusermount", "/usr/bin/fusermount3", "/usr/bin/newuidmap", "/usr/bin/newgidmap", "/usr/lib/dbus-1.0/dbus-daemon-launch-helper"), "programs of packages that Podman recommends, with rights beyond those of who starts them: the only ones that are announced", "added changed removed", (), ("", ""), If.OF_PACKAGE),
    ("package-record", "file", ("/var/lib/dpkg/info/{package}.*", "/var/lib/dpkg/info/{package}:*.*", "/var/lib/systemd/deb-systemd-helper-enabled/{package}.*", "/var/lib/systemd/deb-systemd-helper-enabled/**/{package}.*"), "the package manager's record of a package and of its services"),
    ("service-record", "file", ("/var/lib/systemd/deb-systemd-helper-enabled", "/var/lib/systemd/deb-systemd-helper-enabled/*.wants", "/var/lib/systemd/deb-systemd-helper-masked"), "the folders of those records", "added removed"),
    ("package-database", "file", ("/var/lib/dpkg/status", "/var/lib/dpkg/available", "/var/lib/dpkg/diversions", "/var/lib/dpkg/statoverride", "/var/lib/dpkg/alternatives/*", "/var/lib/apt/extended_states", "/var/lib/rpm/*", "/usr/lib/sysimage/rpm/*"), "the package manager's databases", "added changed", (), ("", ""), If.PACKAGES_DIFFER),
    ("package-database-copy", "file", ("/var/lib/dpkg/status-old", "/var/lib/dpkg/available-old", "/var/lib/dpkg/diversions-old", "/var/lib/dpkg/statoverride-old"), "their copies before the last change", "added changed", CONTENT),
    ("wants", "file", ("/etc/systemd/system/multi-user.target.wants",), "the folder of these links, where it was not there", "added removed"),
    ("boot-order", "file", ("/etc/init.d/.depend.boot", "/etc/init.d/.depend.start", "/etc/init.d/.depend.stop"), "the order of init scripts, reckoned anew by insserv", CHANGED, CONTENT),
    ("renumbered", "file", ("/etc/rc?.d/[SK]{n}*",), "the links of other init scripts have another number in the order that is reckoned anew", "added removed", (), ("", ""), If.RENUMBERED),
    ("package-lock", "file", ("/var/lib/dpkg/lock", "/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/triggers/*", "/var/lib/apt/lists/lock", "/var/cache/apt/archives/lock", "/var/lib/apt/daily_lock"), "locks and pending triggers of the package manager"),
    ("package-lists", "file", ("/var/lib/apt/lists", "/var/lib/apt/lists/*", "/var/lib/apt/lists/partial/*", "/var/lib/apt/lists/auxfiles", "/var/lib/apt/periodic/*", "/var/cache/apt/*.bin", "/var/cache/apt/archives", "/var/cache/apt/archives/*.deb", "/var/cache/apt/archives/partial", "/var/cache/dnf/**", "/var/lib/dnf/**", "/var/cache/yum/**"), "lists of what repositories have, and packages that were fetched"),
    ("package-log", "file", ("/var/log/dpkg.log", "/var/log/apt", "/var/log/apt/history.log", "/var/log/apt/term.log", "/var/log/apt/eipp.log.xz", "/var/log/alternatives.log", "/var/log/dnf.log", "/var/log/dnf.rpm.log", "/var/log/dnf.librepo.log", "/var/log/hawkey.log", "/var/log/yum.log"), "logs of the package manager"),
    ("debconf", "file", ("/var/cache/debconf/*.dat", "/var/cache/debconf/*.dat-old", "/var/cache/debconf/tmp.ci"), "answers to questions of packages; Hullmark's ask none"),
    ("caches", "file", ("/etc/ld.so.cache", "/var/cache/ldconfig/aux-cache", "/var/cache/man/**", "/usr/share/info/dir", "/var/lib/systemd/catalog/database", "/usr/lib/udev/hwdb.bin"), "indexes that are made anew when packages change", "added changed", (), ("", ""), If.PACKAGES_DIFFER),
    ("account-file", "file", ACCOUNT_PATHS + tuple(f"{path}-" for path in ACCOUNT_PATHS), "the files of users and groups", CHANGED, CONTENT, ("", ""), If.LINES_DIFFER),
    ("account-copy-file", "file", tuple(f"{path}-" for path in ACCOUNT_PATHS), "the copy of such a file before its last change, made by the system's tools", ADDED, (), ("", ""), If.LINES_DIFFER),
    ("account-copy", "account", tuple(f"{path}-:*" for path in ACCOUNT_PATHS), "a line of such a copy", "added changed removed", (), ("", ""), If.COPY_OF_LINE),
    ("haproxy-unit", "unit", ("haproxy.service", "haproxy"), "the distribution's own service of HAProxy, whose program the proxy uses; it is as its package leaves it, and nothing of Hullmark's runs in it"),
    ("haproxy-enabled", "file", ("/etc/systemd/system/*.wants/haproxy.service", "/etc/rc?.d/[SK]{n}haproxy"), "its package starts it at boot", "added removed"),
    ("haproxy-socket", "socket", ("unix /run/haproxy/**", "unix /run/haproxy-master.sock**"), "where that service is steered; it listens on no port by itself"),
    ("haproxy-log", "file", ("/var/lib/haproxy/dev/log",), "where it and a syslog daemon meet"),
    ("haproxy-user", "account", ("/etc/passwd:haproxy", "/etc/passwd-:haproxy"), "the user of that package, which the proxy's processes run as too", ADDED, (), ("lines", HAPROXY_USER)),
    ("haproxy-group", "account", ("/etc/group:haproxy", "/etc/group-:haproxy"), "its group", ADDED, (), ("lines", r"haproxy:[x!*]:[1-9]\d\d:")),
    ("haproxy-shadow", "account", ("/etc/shadow:haproxy", "/etc/gshadow:haproxy", "/etc/shadow-:haproxy", "/etc/gshadow-:haproxy"), "their entries", ADDED, (), ("", ""), If.LOCKED),
    ("account-lock", "file", ("/etc/.pwd.lock",), "the lock of the users' files", ADDED),
)  # fmt: skip

_PERIODIC = (
    *("apt-daily", "apt-daily-upgrade", "dpkg-db-backup", "e2scrub_all", "e2scrub_reap", "fstrim", "logrotate", "man-db"),
    *("motd-news", "systemd-tmpfiles-clean", "systemd-update-utmp", "dailyaidecheck", "anacron", "exim4-base", "fwupd-refresh"),
    *("systemd-hostnamed", "systemd-timedated", "systemd-localed", "polkit", "packagekit", "sysstat-collect", "sysstat-summary"),
    *("ldconfig", "systemd-firstboot", "systemd-hwdb-update", "systemd-journal-catalog-update", "systemd-machine-id-commit"),
    *("systemd-sysusers", "systemd-update-done"),
)  # fmt: skip
_SYSLOG = (
    *("syslog", "messages", "debug", "secure", "cron"),
    *(f"{name}.log" for name in ("auth", "cron", "daemon", "kern", "mail", "user")),
)
ITSELF = _rows(
    Whose.ITSELF,
    ("journal", "file", ("/var/log/journal/*", "/var/log/journal/*/*.journal", "/var/log/journal/*/*.journal~"), "systemd's journal"),
    ("log", "file", ("/var/log/*", "/var/log/*/*.log", "/var/log/audit/audit.log", "/var/log/exim4/*", "/var/log/sysstat/*"), "logs of other tools grow; their owners and modes stay", CHANGED, CONTENT),
    ("syslog", "file", tuple(f"/var/log/{name}" for name in _SYSLOG), "log files that a syslog daemon makes for the first message of their kind", ADDED),
    ("rotated", "file", ("/var/log/*.{n}", "/var/log/*.{n}.gz", "/var/log/*/*.{n}", "/var/log/*/*.{n}.gz", "/var/log/*/*.{n}.xz"), "logs that were rotated"),
    ("login-record", "file", ("/var/log/wtmp", "/var/log/btmp", "/var/log/lastlog", "/var/log/faillog", "/var/lib/wtmpdb/wtmp.db", "/var/lib/lastlog/lastlog2.db"), "records of logins", "added changed"),
    ("systemd-state", "file", ("/var/lib/systemd/random-seed", "/var/lib/systemd/timesync/clock", "/var/lib/systemd/timers/*.timer", "/var/lib/systemd/rfkill/*", "/var/lib/systemd/backlight/*", "/var/lib/systemd/pstore", "/var/lib/systemd/coredump", "/var/lib/urandom/random-seed", "/etc/.updated", "/var/.updated"), "states that the system keeps through a boot"),
    ("lease", "file", ("/var/lib/dhcp/*.leases", "/var/lib/dhcp/*.lease", "/var/lib/NetworkManager/*.lease", "/var/lib/NetworkManager/timestamps", "/var/lib/NetworkManager/seen-bssids"), "addresses that were given to the host"),
    ("tool-state", "file", ("/var/lib/chrony/chrony.drift", "/var/lib/chrony/drift", "/var/lib/ntpsec/ntp.drift", "/var/lib/fail2ban/fail2ban.sqlite3", "/var/lib/fail2ban/fail2ban.sqlite3-journal", "/var/lib/logrotate/status", "/var/lib/rsyslog/imjournal.state", "/var/lib/sudo/lectured/*", "/var/spool/anacron/*", "/var/lib/aide/aide.db.new"), "states of other tools, written by them"),
    ("private-tmp", "file", _TMP, "temporary folders of single services, Hullmark's among them"),
    ("history", "file", ("/root/.bash_history", "/home/*/.bash_history"), "what somebody typed", CHANGED, CONTENT),
    ("periodic", "unit", tuple(f"{name}.service" for name in _PERIODIC), "services that run now and then, or at a boot after an update only", "changed", ("active", "sub")),
    ("timer", "unit", ("*.timer",), "timers between two runs", CHANGED, ("sub",)),
    ("login", "unit", ("user@{n}.service", "user-runtime-dir@{n}.service"), "a login", "added changed removed", ("active", "sub")),
    ("login-process", "process", ("* systemd **", "* (sd-pam) **", "* sshd **", "* sshd-session **", "* sshd-auth **", "* login **", "* agetty **", "* dbus-daemon **"), "a login", "added removed changed", (), ("units", r"user\.slice|user@\d+\.service|session-\w+\.scope|(serial-|console-)?getty@?[\w-]*\.service")),
    ("worker", "process", ("0 (udev-worker) **", "0 systemd-udevd **", "0 systemd-hostnam **", "0 systemd-timedat **"), "processes that come and go", "added removed"),
    ("process-unit", "process", ("* (sd-pam) **", "* sshd **"), "a session of another login", CHANGED, ("units",)),
    ("link-local", "network", ("route -6 fe80::* dev * table local type local", "route -6 fe80:: dev * table local type anycast"), "an interface's own address, once the kernel knows that no neighbour has it", "added removed"),
    ("login-socket", "socket", ("unix /run/user/{n}/**",), "a login"),
    ("login-mount", "mount", ("/run/user/{n}",), "a login"),
    ("counter", "sysctl", ("fs/dentry-state", "fs/file-nr", "fs/inode-nr", "fs/inode-state", "fs/aio-nr", "fs/quota/*", "kernel/ns_last_pid", "kernel/perf_event_max_sample_rate", "kernel/pty/nr", "kernel/random/*", "net/netfilter/nf_conntrack_count"), "counters, and random numbers", CHANGED),
)  # fmt: skip

ANNOUNCEMENTS = OWN + CONTAINERS + PACKAGES + ITSELF
MAY_HAVE = {
    "set-id": frozenset({"set-id", "capability"}),
    "journal": frozenset({"access list"}),
    "haproxy-log": frozenset({"neither file, folder nor link", "writable for anybody"}),
}
"""Rights that no line announces but these: a set-id bit or a capability of a file, that anybody may write to it, an access list,
an attribute of chattr(1), and whatever is no file, folder or link."""

PACKAGES_OF_OURS = ("hullmark", "hullmark-agent", "hullmark-master", "hullmark-proxy")
NEEDED = (
    *("python3", "python3-click", "python3-rich", "python3-yaml", "python3-cryptography", "python3-psutil"),
    *("python3-requests", "python3-docker", "python3-aiohttp", "adduser"),
    *("haproxy", "iproute2", "iproute"),
    *("docker.io", "docker-ce", "moby-engine", "podman", "iptables", "docker-cli"),
)  # fmt: skip
"""What these depend on or recommend by name: known also once they are gone."""
