"""Pictures of hosts of a bed, taken as a security team takes them before anything of ours is there; and changes to find."""

from __future__ import annotations

import gzip
import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from hullmark import footprint
from hullmark.footprint import Verdict, snapshot
from tests.hosts import Host

PLACE = "/root/picture.json.gz"
PROGRAM = "/root/snapshot.py"


class Pictures:
    """Of one host, kept in a folder of ours. The host has the recorder and nothing else of it."""

    def __init__(self, host: Host, folder: Path) -> None:
        self._host = host
        self._folder = folder
        host.put(Path(snapshot.__file__), PROGRAM)

    def take(self, name: str) -> Path:
        self._host.run(["python3", "-IB", PROGRAM, "--output", PLACE])
        taken = self._folder / f"{name}.json.gz"
        taken.write_bytes(self._host.path(PLACE).read_bytes())
        self._host.path(PLACE).unlink()
        return taken


def unseen(picture: Path) -> dict[str, list[str]]:
    """What could not be looked at, with the reason."""
    with gzip.open(picture) as lines:
        looks = [one for one in map(json.loads, lines) if one.get("kind") == "look"]
    return {one["key"]: one["why"] for one in looks if not one["seen"]}


def differences(before: Path, after: Path) -> tuple[Verdict, ...]:
    return footprint.report(str(before), str(after)).verdicts


def not_announced(verdicts: Collection[Verdict]) -> list[str]:
    """Of each difference kind, change, key and values, as one line."""
    return [
        f"{one.difference.kind} {one.difference.change} {one.difference.key} "
        f"{dict(one.difference.before)} {dict(one.difference.after)}"
        for one in verdicts
        if one.announcement is None
    ]


@dataclass(frozen=True)
class Plant:
    """Something that somebody did by hand: `kind` and `key` say how it has to be found."""

    kind: str
    key: str
    do: str
    undo: str


PLANTS = (
    Plant("file", "/usr/local/bin/planted", "install -m 0755 /bin/true /usr/local/bin/planted", "rm /usr/local/bin/planted"),
    Plant("file", "/usr/share/hullmark/planted.py", "mkdir -p /usr/share/hullmark; echo 1 >/usr/share/hullmark/planted.py", "rm /usr/share/hullmark/planted.py; rmdir --ignore-fail-on-non-empty /usr/share/hullmark"),
    Plant("file", "/etc/cron.d/planted", "echo '* * * * * nobody true' >/etc/cron.d/planted", "rm /etc/cron.d/planted"),
    Plant("file", "/etc/ssh/sshd_config", "cp -a /etc/ssh/sshd_config /root/kept; echo PermitRootLogin yes >>/etc/ssh/sshd_config", "mv /root/kept /etc/ssh/sshd_config"),
    Plant("file", "/usr/bin/less", "chmod u+s /usr/bin/less", "chmod u-s /usr/bin/less"),
    Plant("file", "/etc/adduser.conf", "chown nobody /etc/adduser.conf", "chown root /etc/adduser.conf"),
    Plant("file", "/etc/issue", "mv /etc/issue /etc/moved", "mv /etc/moved /etc/issue"),
    Plant("file", "/var/lib/hullmark/planted", "install -m 4755 /bin/sh /var/lib/hullmark/planted", "rm /var/lib/hullmark/planted"),
    Plant("file", "/usr/bin/hullmark", "chmod u+s $(readlink -f /usr/bin/hullmark)", "chmod u-s $(readlink -f /usr/bin/hullmark)"),
    Plant("file", "/run/systemd/system/cron.service.d/planted.conf", "mkdir -p /run/systemd/system/cron.service.d; echo >/run/systemd/system/cron.service.d/planted.conf", "rm -r /run/systemd/system/cron.service.d"),
    Plant("account", "/etc/passwd:planted", "echo planted:x:0:0::/:/bin/sh >>/etc/passwd", "sed -i /^planted:/d /etc/passwd"),
    Plant("socket", "tcp 0.0.0.0:4444", "systemd-run --quiet --unit planted-listener python3 -IB -c 'import socket, time; s = socket.create_server((\"\", 4444)); time.sleep(999)'; until ss -ltnH | grep -q :4444; do sleep 0.1; done", "systemctl stop planted-listener"),
    Plant("process", "0 python3 /usr/bin/python3.11", "true", "true"),
    Plant("unit", "planted.service", "printf '[Service]\\nExecStart=/bin/true\\n' >/etc/systemd/system/planted.service; systemctl daemon-reload", "rm /etc/systemd/system/planted.service; systemctl daemon-reload"),
    Plant("firewall", "nft table ip filter chain FORWARD", "nft add rule ip filter FORWARD tcp dport 4444 accept", "nft delete rule ip filter FORWARD handle $(nft -a list chain ip filter FORWARD | sed -n 's/.* 4444 .*handle //p')"),
    Plant("firewall", "nft table ip filter chain DOCKER-USER", "nft insert rule ip filter DOCKER-USER tcp dport 4445 accept", "nft delete rule ip filter DOCKER-USER handle $(nft -a list chain ip filter DOCKER-USER | sed -n 's/.* 4445 .*handle //p')"),
    Plant("sysctl", "net/ipv4/ip_default_ttl", "sysctl -qw net.ipv4.ip_default_ttl=63", "sysctl -qw net.ipv4.ip_default_ttl=64"),
    Plant("network", "address 198.51.100.99/32 dev lo", "ip address add 198.51.100.99/32 dev lo", "ip address delete 198.51.100.99/32 dev lo"),
    Plant("mount", "/srv", "mount --bind /mnt /srv", "umount /srv"),
)  # fmt: skip
"""The process is the one that listens."""
