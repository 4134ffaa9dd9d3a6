"""The images that hosts boot: which packages are in each, and what is settled in them once.

All packages that ours depend on are already there, because a host has no way out. One root serves both engines: a
host's own disk says which of them starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SYSTEM = (
    *("adduser", "ca-certificates", "cron", "iproute2", "iptables", "logrotate", "nftables"),
    *("openssh-server", "procps", "psmisc", "less"),
)
# What the packages depend on, and what Ansible's apt module wants.
DEPENDENCIES = (
    "python3",
    *(f"python3-{name}" for name in ("aiohttp", "click", "cryptography", "docker", "psutil")),
    *(f"python3-{name}" for name in ("requests", "rich", "yaml", "apt", "jinja2", "pyinotify")),
)
# What the agent's host has besides: the program of its proxy.
PROXY = ("haproxy",)
ENGINES = (
    *("docker.io", "podman", "runc", "conmon", "netavark", "aardvark-dns", "catatonit"),
    "golang-github-containers-common",
)
# What Ubuntu's installer puts on every server, apt among it.
UBUNTU = ("ubuntu-minimal", "rsyslog")
# Podman 3.4 has other networks than netavark's.
ENGINES_JAMMY = tuple(
    {"netavark": "containernetworking-plugins"}.get(name, name)
    for name in ENGINES
    if name != "aardvark-dns"
)
SYSTEMD = ("systemd", "systemd-sysv", "dbus")
# Docker's and rsyslog's packages leave to these what systemd does elsewhere: cgroups, and a script to start rsyslog.
SYSVINIT = ("sysvinit-core", "cgroupfs-mount", "orphan-sysvinit-scripts", "rsyslog")

# $1 is the root. What the mirror was needed for goes: a host asks only the repository that a test gives it.
SETTLE = """
set -e
rm -f "$1"/etc/apt/sources.list "$1"/etc/apt/sources.list.d/* "$1"/etc/apt/apt.conf.d/99mmdebstrap
rm -f "$1"/etc/dpkg/dpkg.cfg.d/99mmdebstrap "$1"/etc/hostname "$1"/etc/resolv.conf
"""
# There, but started by the test that wants it.
NO_SSH_SYSTEMD = """
chroot "$1" systemctl --quiet disable ssh.service
"""
# From 22.10 on Ubuntu's socket starts it.
NO_SSH_UBUNTU = """
chroot "$1" systemctl --quiet disable ssh.service ssh.socket
"""
# Ubuntu's apt starts them after each look at a repository; they ask servers that nobody reaches from here, for minutes.
NO_NEWS = "systemctl --quiet mask --now apt-news.service esm-cache.service"
# It ends where nobody has the console, and is started again and again.
NO_CONSOLE = "systemctl --quiet mask --now console-getty.service"
# Podman sets one by default, by a controller that the machine's control groups of version 1 keep.
NO_LIMIT_OF_PROCESSES = (
    "mkdir -p /etc/containers/containers.conf.d;"
    " printf '[containers]\\npids_limit = 0\\n' >/etc/containers/containers.conf.d/bed.conf;"
    " systemctl stop podman.service"
)
# Of a shop that has no use for the distribution's own HAProxy.
NO_HAPROXY_SYSTEMD = """
chroot "$1" systemctl --quiet disable haproxy.service
"""
# No terminals for getty. A shop that runs Podman without systemd starts its service by a script of its own; this is ours.
SETTLE_SYSVINIT = r"""
chroot "$1" update-rc.d -f ssh remove >/dev/null
chroot "$1" update-rc.d -f haproxy remove >/dev/null
sed -i '/getty/d' "$1"/etc/inittab
# The limits that it raises are the machine's, which may not let us.
sed -i 's/^[[:space:]]*ulimit -.*/& || :/' "$1"/etc/init.d/docker
cat >"$1"/etc/init.d/podman <<'END'
#!/bin/sh
### BEGIN INIT INFO
# Provides:          podman
# Required-Start:    $local_fs $remote_fs $syslog
# Required-Stop:     $local_fs $remote_fs $syslog
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
# Short-Description: Podman's service of the Docker API
### END INIT INFO
. /lib/lsb/init-functions
PID=/run/podman.pid
start() {
    mkdir -p /run/podman
    start-stop-daemon --start --oknodo --background --make-pidfile --pidfile $PID --output /var/log/podman.log \
        --exec /usr/bin/podman -- system service --time=0 unix:///run/podman/podman.sock
}
stop() { start-stop-daemon --stop --oknodo --retry 10 --remove-pidfile --pidfile $PID --name podman; }
case "$1" in
start) log_daemon_msg "Starting Podman's service"; start; log_end_msg $? ;;
stop) log_daemon_msg "Stopping Podman's service"; stop; log_end_msg $? ;;
restart | force-reload) stop; start ;;
status) status_of_proc -p $PID /usr/bin/podman podman ;;
*) echo "usage: $0 start|stop|restart|status" >&2; exit 3 ;;
esac
END
chmod 755 "$1"/etc/init.d/podman
chroot "$1" update-rc.d podman defaults
mkdir -p "$1"/etc/containers
# Without systemd nobody answers for the cgroups that Podman would ask it for.
printf '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\nruntime = "runc"\n' >"$1"/etc/containers/containers.conf
"""


# What else the audited host runs. Its firewall keeps a table of its own, and lets all traffic pass.
AUDITED = (
    *("aide", "aide-common", "chrony", "clamav-daemon", "fail2ban", "python3-systemd", "rsyslog"),
    "unattended-upgrades",
)
SETTLE_AUDITED = r"""
chroot "$1" systemctl --quiet enable ssh.service nftables.service
cat >"$1"/etc/nftables.conf <<'END'
#!/usr/sbin/nft -f
table inet shop
delete table inet shop
table inet shop {
    set admins { type ipv4_addr; elements = { 198.51.100.7, 198.51.100.8 }; }
    chain input {
        type filter hook input priority filter; policy accept;
        iif "lo" counter accept
        ct state established,related counter accept
        tcp dport 22 ip saddr @admins counter accept
        tcp dport 23 counter drop
    }
}
END
cat >"$1"/etc/cron.d/shop <<'END'
* * * * * root date +\%s >/var/tmp/shop-was-here
END
mkdir -p "$1"/etc/shop
echo 'shop: 1' >"$1"/etc/shop/shop.conf
# A small set, so that a check takes no time.
cat >"$1"/etc/aide/aide.conf <<'END'
database_in=file:/var/lib/aide/aide.db
database_out=file:/var/lib/aide/aide.db.new
report_url=stdout
/etc p+i+u+g+s+m+sha256
/boot p+u+g+s+sha256
/usr/local p+u+g+s+sha256
!/etc/mtab$
END
rm -rf "$1"/etc/aide/aide.conf.d "$1"/etc/cron.daily/aide "$1"/etc/cron.daily/dailyaidecheck
cat >"$1"/etc/fail2ban/jail.d/defaults-debian.conf <<'END'
[sshd]
enabled = true
backend = systemd
END
# Signatures can't be had here: clamd knows the EICAR test file alone, and starts without the others.
printf '%s\n' 'Eicar-Test:0:0:58354f2150254041505b345c505a58353428505e2937434329377d2445494341522d5354414e444152442d414e544956495255532d544553542d46494c452124482b482a' \
    >"$1"/var/lib/clamav/shop.ndb
mkdir -p "$1"/etc/systemd/system/clamav-daemon.service.d
printf '[Unit]\nConditionPathExistsGlob=\n' >"$1"/etc/systemd/system/clamav-daemon.service.d/signatures.conf
chroot "$1" systemctl --quiet enable clamav-daemon.service
chroot "$1" systemctl --quiet disable clamav-freshclam.service
# The clock is the machine's: chrony runs, and may not set it.
mkdir -p "$1"/etc/systemd/system/chrony.service.d
printf '[Unit]\nConditionCapability=\n' >"$1"/etc/systemd/system/chrony.service.d/clock.conf
sed -i 's/^pool .*/server 192.0.2.1 iburst/' "$1"/etc/chrony/chrony.conf
echo 'DAEMON_OPTS="-F 0 -x"' >"$1"/etc/default/chrony
"""

# Packages of the distribution that are at hand with all that they need, to be installed by the test as by a person.
SETTLE_OFFERING = r"""
set -e
mkdir -p "$1"/srv/debian/partial
APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get -q -y -o APT::Sandbox::User=root -o Dir::Cache::Archives="$1"/srv/debian \
    install --no-install-recommends --download-only OFFERED
(cd "$1"/srv/debian && rm -rf partial lock && apt-ftparchive packages . >Packages)
"""
OFFER = r"""
echo 'deb [trusted=yes] file:/srv/debian ./' >"$1"/etc/apt/sources.list.d/debian.list
chroot "$1" apt-get -q update
"""


def _offering(*packages: str) -> str:
    return SETTLE_OFFERING.replace("OFFERED", " ".join(packages))


@dataclass(frozen=True)
class Image:
    """`settle` is a shell script that runs once, in the root's making; `first` are commands on each host after its
    first boot. `unified`: its control groups are of version 2, without controllers where the machine's are of version 1."""

    name: str
    release: str
    packages: tuple[str, ...]
    settle: str
    first: tuple[str, ...] = ()
    unified: bool = False

    @property
    def has_systemd(self) -> bool:
        return "systemd-sysv" in self.packages


STOCK = (*SYSTEM, *DEPENDENCIES, *ENGINES, *PROXY)
SETTLE_STOCK = SETTLE + NO_SSH_SYSTEMD + NO_HAPROXY_SYSTEMD
SETTLE_UBUNTU = SETTLE + NO_SSH_UBUNTU + NO_HAPROXY_SYSTEMD
QUORUM = (*SYSTEMD, *SYSTEM, *DEPENDENCIES, "openssl")
# Machines for a pair of masters: no engine, and Debian's own etcd at hand.
SETTLE_QUORUM = _offering("etcd-server", "etcd-client") + SETTLE + OFFER + NO_SSH_SYSTEMD
IMAGES: Mapping[str, Image] = {
    image.name: image
    for image in (
        Image("bookworm", "bookworm", (*SYSTEMD, *STOCK), SETTLE_STOCK),
        Image(
            "trixie",
            "trixie",
            (*SYSTEMD, *STOCK, "docker-cli"),
            _offering("firewalld") + SETTLE_STOCK,
        ),
        Image(
            "bookworm-audited",
            "bookworm",
            (*SYSTEMD, *STOCK, *AUDITED),
            SETTLE + SETTLE_AUDITED,
            (
                "aide --config /etc/aide/aide.conf --init",
                "mv /var/lib/aide/aide.db.new /var/lib/aide/aide.db",
            ),
        ),
        Image("bookworm-quorum", "bookworm", QUORUM, SETTLE_QUORUM),
        Image("trixie-quorum", "trixie", QUORUM, SETTLE_QUORUM),
        Image(
            "bookworm-sysvinit",
            "bookworm",
            (*SYSVINIT, *STOCK),
            _offering("ufw") + SETTLE + SETTLE_SYSVINIT,
        ),
        Image(
            "jammy",
            "jammy",
            (*SYSTEMD, *UBUNTU, *SYSTEM, *DEPENDENCIES, *ENGINES_JAMMY, *PROXY),
            SETTLE_UBUNTU,
            (NO_NEWS,),
        ),
        Image("noble", "noble", (*SYSTEMD, *UBUNTU, *STOCK), SETTLE_UBUNTU, (NO_NEWS,)),
        # Its systemd knows no other.
        Image(
            "resolute",
            "resolute",
            (*SYSTEMD, *UBUNTU, *STOCK),
            SETTLE_UBUNTU,
            (NO_NEWS, NO_CONSOLE, NO_LIMIT_OF_PROCESSES),
            unified=True,
        ),
    )
}
