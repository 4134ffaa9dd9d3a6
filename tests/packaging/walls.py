"""Firewalls of a booted host that drop what nobody let in, and the rules that are printed for them, loaded as they are."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from tests.cluster import wait_until
from tests.hosts import Host

DROPPING = """
table inet filter {
  chain input { type filter hook input priority 0; policy drop; ct state established,related accept; iifname "lo" accept; }
  chain forward { type filter hook forward priority 0; policy drop; ct state established,related accept; }
  chain output { type filter hook output priority 0; policy drop; ct state established,related accept; oifname "lo" accept; }
}
"""


@dataclass(frozen=True)
class Wall:
    """`firewall` is its name for `hullmark ports --firewall`. `package` is installed first; the command `raised` makes it drop by
    default, `torn` makes it go. `pasted` reads what is printed. One that `stays` is on for all that follows, also after a boot."""

    firewall: str
    raised: str
    torn: str
    package: str = ""
    pasted: tuple[str, ...] = ("sh", "-es")
    given: str = ""
    stays: bool = False

    def __str__(self) -> str:
        return self.firewall

    def rise(self, host: Host) -> None:
        if self.package:
            host.use_offered()
            host.install(self.package)
        host.run(self.raised, input=self.given)

    def paste(self, host: Host, printed: str) -> None:
        host.run([*self.pasted], input=printed)

    def fall(self, host: Host) -> None:
        host.run(self.torn)


NFTABLES = Wall(
    "nftables",
    raised="nft -f -",
    torn="nft delete table inet filter",
    pasted=("nft", "-f", "-"),
    given=DROPPING,
)
# Of Debian's init scripts nftables' is on, and flushes all rules while ufw loads its own, at the same time.
UFW = Wall(
    "ufw",
    raised="update-rc.d nftables disable && ufw default deny incoming && ufw default deny routed && ufw --force enable",
    torn="ufw disable",
    package="ufw",
    stays=True,
)
FIREWALLD = Wall(
    "firewalld",
    raised="firewall-cmd --permanent --set-target=DROP && firewall-cmd --reload",
    torn="systemctl disable --quiet --now firewalld",
    package="firewalld",
)


@contextlib.contextmanager
def listening(host: Host, port: int) -> Iterator[None]:
    """A program of the host's that nobody declared, on all of its addresses."""
    command = f"python3 -m http.server {port} >/dev/null 2>&1 & echo $!"
    pid = host.run(command).stdout.strip()
    try:
        wait_until(lambda: host.network.can_dial(host.address, port), "it listens")
        yield
    finally:
        host.run(["kill", pid])
