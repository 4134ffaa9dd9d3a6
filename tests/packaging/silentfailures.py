"""Silent failures of the tools of an audited shop, each made for real on a booted host: the tool's service counts as running all the
while. Each proves that it took effect, and can be mended.

`functions` of a failure are those that it breaks; `requirements` are what an assessor would look for under it, at least.
"""

from __future__ import annotations

import secrets
import socket
import struct
import time
from dataclasses import dataclass
from typing import Callable

from hullmark.host.probes.clamav import eicar_file
from tests.cluster import wait_until
from tests.hosts import Host
from tests.integration.test_controls_clamav import KNOWN, OTHER, daily

SIGNATURES = "/var/lib/clamav"
AIDE_RUN = "aide --config /etc/aide/aide.conf --check >/var/log/aide/aide.log"
MESSAGES, FULL = "/var/log/shop/messages", "/var/log/shop/filling"
AUTH = "/var/log/auth.log"
FLOOD = 5000
FLOODING = (
    "systemd-run --quiet --unit=flood -p LogRateLimitIntervalSec=5s -p LogRateLimitBurst=100 "
    f"sh -c 'seq {FLOOD}; sleep 6; echo the next line; exec sleep 1000'"
)
"""A service whose own limit is small, as a drop-in of a shop would make it. journald tells of what it dropped with the next line."""


@dataclass(frozen=True)
class Shop:
    """`log_host` is also the master and the time server."""

    log_host: Host
    web1: Host
    web2: Host


@dataclass(frozen=True)
class Failure:
    """`make` breaks and proves that it is broken. `host` is where, `check` which one of the control's is to see it. `from_the_start`: it
    is so before the agent is there."""

    name: str
    host: str
    control: str
    check: str
    requirements: frozenset[str]
    make: Callable[[Shop, Host], None]
    mend: Callable[[Shop, Host], None]
    from_the_start: bool = False


def is_active(host: Host, *units: str) -> None:
    """As its service manager has it, and not stopped by a signal."""
    for unit in units:
        host.run(["systemctl", "is-active", unit])
        pid = host.run(["systemctl", "show", "-P", "MainPID", unit]).stdout.strip()
        state = host.read(f"/proc/{pid}/stat").rpartition(")")[2].split()[0]
        assert state in "SRD", f"{unit} is in state {state}"


# -- rsyslog, whose file system is full


def fill(shop: Shop, host: Host) -> None:
    host.run(f"dd if=/dev/zero of={FULL} bs=4k", check=False)
    # What is left of the last page of the file itself.
    host.run(f"head -c 5000 /dev/zero | tr '\\0' '\\n' >>{MESSAGES}", check=False)
    nonce = secrets.token_hex(8)
    host.run(["logger", f"lost {nonce}"])
    time.sleep(1.0)
    assert nonce not in host.read(MESSAGES), "rsyslog has still written"
    is_active(host, "rsyslog")


def make_room(shop: Shop, host: Host) -> None:
    host.run(["rm", FULL])


# -- journald, which throws away what a service says


def flood(shop: Shop, host: Host) -> None:
    host.run(FLOODING)
    wait_until(lambda: "the next line" in flooded(host), "journald was flooded", 20.0)
    assert 0 < flooded(host).count("\n") < FLOOD, "journald has kept all"
    is_active(host, "systemd-journald", "flood")


def flooded(host: Host) -> str:
    return host.run(["journalctl", "-q", "-o", "cat", "-u", "flood"]).stdout


def end_flood(shop: Shop, host: Host) -> None:
    host.run(["systemctl", "stop", "flood"])


# -- AIDE


def make_stale(shop: Shop, host: Host) -> None:
    host.run("touch -d '400 days ago' /var/lib/aide/aide.db")


def make_fresh(shop: Shop, host: Host) -> None:
    host.run("touch /var/lib/aide/aide.db")


def never_run(shop: Shop, host: Host) -> None:
    host.run("test -s /var/lib/aide/aide.db && test ! -e /var/log/aide/aide.log")


def run_aide(shop: Shop, host: Host) -> None:
    """What it finds is no failure of AIDE."""
    done = host.run(AIDE_RUN, check=False)
    assert done.returncode < 8, done.stderr


# -- clamd


def put_signatures(host: Host, known: bool) -> None:
    """Some of today; where they are `known`, with the EICAR test file among them."""
    folder = host.folder / "signatures"
    folder.mkdir(exist_ok=True)
    daily(folder, time.time(), KNOWN if known else OTHER)
    host.run(f"rm -f {SIGNATURES}/shop.ndb")
    host.put(folder / "daily.cud", f"{SIGNATURES}/daily.cud")


def forget_eicar(shop: Shop, host: Host) -> None:
    put_signatures(host, known=False)
    host.run("systemctl kill --signal=USR2 clamav-daemon")
    wait_until(lambda: scanned(host) == "stream: OK", "clamd misses EICAR", 20.0)
    is_active(host, "clamav-daemon", "clamav-freshclam")


def know_eicar(shop: Shop, host: Host) -> None:
    put_signatures(host, known=True)
    host.run("systemctl kill --signal=USR2 clamav-daemon")


def scanned(host: Host) -> str:
    """What clamd says of the test file; empty while it does not answer."""
    content = eicar_file()
    with socket.socket(socket.AF_UNIX) as clamd:
        clamd.settimeout(5.0)
        try:
            clamd.connect(str(host.path("/run/clamav/clamd.ctl")))
            clamd.sendall(b"zINSTREAM\0" + struct.pack(">I", len(content)) + content + bytes(4))
            return clamd.recv(1000).decode().rstrip("\0")
        except OSError:
            return ""


# -- chrony


def forget_source(shop: Shop, host: Host) -> None:
    host.run(["chronyc", "delete", shop.log_host.address])
    assert host.run("chronyc -c sources").stdout == ""
    is_active(host, "chrony")


def find_source(shop: Shop, host: Host) -> None:
    host.run(["chronyc", "add", "server", shop.log_host.address, "iburst"])


# -- nftables


def open_port(shop: Shop, host: Host) -> None:
    host.run("nft insert rule inet shop input tcp dport 4444 accept")
    saved, live = host.read("/etc/nftables.conf"), host.run("nft list table inet shop").stdout
    assert "4444" in live
    assert "4444" not in saved
    host.run(["systemctl", "is-active", "nftables"])


def load_saved(shop: Shop, host: Host) -> None:
    host.run(["nft", "-f", "/etc/nftables.conf"])


# -- log files


def show_to_all(shop: Shop, host: Host) -> None:
    reads = f"setpriv --reuid=65534 --regid=65534 --clear-groups head -c 1 {AUTH}"
    assert host.run(reads, check=False).returncode != 0
    host.run(["chmod", "0644", AUTH])
    host.run(reads)
    is_active(host, "rsyslog")


def hide(shop: Shop, host: Host) -> None:
    host.run(["chmod", "0640", AUTH])


def truncate(shop: Shop, host: Host) -> None:
    host.run(["truncate", "--size=0", AUTH])
    assert host.path(AUTH).stat().st_size < 100
    is_active(host, "rsyslog")


def log_on(shop: Shop, host: Host) -> None:
    """What was in it does not come back; from then on it only grows."""
    host.run("logger -p auth.info the log goes on")


# -- forwarding


def cut(shop: Shop, host: Host) -> None:
    """In the network before the log host, which drops without a word."""
    rule = f"ip saddr {host.address} tcp dport 514 drop"
    chain = f"chain input {{ type filter hook input priority -10; {rule}; }}"
    shop.log_host.run(["nft", "-f", "-"], input=f"table inet cut {{\n{chain}\n}}\n")
    nonce = secrets.token_hex(8)
    host.run(["logger", f"kept back {nonce}"])
    wait_until(lambda: nonce in host.read(MESSAGES), "rsyslog writes on its own host", 10.0)
    assert nonce not in arrived(shop, host)
    is_active(host, "rsyslog")
    is_active(shop.log_host, "rsyslog")


def heal(shop: Shop, host: Host) -> None:
    shop.log_host.run("nft delete table inet cut")


def arrived(shop: Shop, host: Host) -> str:
    return shop.log_host.read(f"/var/log/remote/{host.name}.log")


def _of(*requirements: str) -> frozenset[str]:
    """Those that ask how failures are dealt with are behind each of them."""
    return frozenset((*requirements, "10.7.2", "10.7.3"))


FAILURES = (
    Failure(
        "rsyslog runs, its output blocked",
        "web1",
        "local-logging-rsyslog",
        "canary",
        _of("10.2.1"),
        fill,
        make_room,
    ),
    Failure(
        "journald runs, rate-limited",
        "web1",
        "local-logging-journald",
        "suppressed",
        _of("10.2.1"),
        flood,
        end_flood,
    ),
    Failure(
        "AIDE's database stale",
        "web1",
        "file-integrity-aide",
        "database",
        _of("11.5.2"),
        make_stale,
        make_fresh,
    ),
    Failure(
        "AIDE never run",
        "web2",
        "file-integrity-aide",
        "last-run",
        _of("11.5.2"),
        never_run,
        run_aide,
        from_the_start=True,
    ),
    Failure(
        "clamd runs, its database misses EICAR",
        "web1",
        "anti-malware-clamav",
        "eicar",
        _of("5.2.1", "5.3.1"),
        forget_eicar,
        know_eicar,
    ),
    Failure(
        "chronyd runs without a source",
        "web1",
        "time-chrony",
        "tracking",
        _of("10.6.1", "10.6.2"),
        forget_source,
        find_source,
    ),
    Failure(
        "live firewall rules differ from the saved",
        "web1",
        "firewall-nftables",
        "rules",
        _of("1.2.8"),
        open_port,
        load_saved,
    ),
    Failure(
        "a log made world-readable",
        "web1",
        "log-protection",
        "permissions",
        _of("10.3.1"),
        show_to_all,
        hide,
    ),
    Failure(
        "a log truncated", "web2", "log-protection", "truncation", _of("10.3.2"), truncate, log_on
    ),
    Failure(
        "log forwarding cut, both daemons run",
        "web2",
        "log-forwarding",
        "receipt",
        _of("10.3.3"),
        cut,
        heal,
    ),
)
