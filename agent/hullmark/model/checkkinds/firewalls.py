from __future__ import annotations

from collections.abc import Mapping

from hullmark.model.checkkinds.form import Form, Kind, Parameter

SAVED = ("/etc/sysconfig/nftables.conf", "/etc/nftables.conf")
OTHERS = (
    *("ip filter", "ip nat", "ip mangle", "ip raw", "ip security"),
    *("ip6 filter", "ip6 nat", "ip6 mangle", "ip6 raw", "ip6 security"),
    *(
        "* netavark",
        "* docker*",
        "* firewalld",
        "* f2b*",
        "* libvirt*",
        "* lxc*",
        "* lxd*",
        "* hullmark*",
    ),
)
"""Tables that other tools of a stock host write. The first two lines are what iptables writes to where it is nftables underneath."""
JUMPS = ("f2b-*", "fail2ban-*", "DOCKER*", "NETAVARK*", "CNI-*", "LIBVIRT_*")
"""Chains of iptables that other tools of a stock host have INPUT jump to."""

KINDS: Mapping[str, Kind] = {
    "firewalls.nftables": Kind(
        "the rules in the kernel are those of nftables' saved file",
        level=2,
        interval_s=30.0,
        timeout_s=15.0,
        parameters={
            "paths": Parameter(
                Form.PATHS, "the saved file: the first of these that is there", SAVED
            ),
            "others": Parameter(
                Form.TEXTS,
                "tables that may be in the kernel and not in the saved file, `FAMILY NAME` with * and ?",
                OTHERS,
            ),
        },
        not_exercised="no packet is sent: whether the rules say what the site wants isn't tried; what other tools' own "
        "tables hold isn't compared",
    ),
    "firewalls.ufw": Kind(
        "the rules in the kernel are those of ufw's files",
        level=2,
        interval_s=30.0,
        timeout_s=15.0,
        parameters={
            "jumps": Parameter(
                Form.TEXTS, "chains of other tools that INPUT may jump to, with * and ?", JUMPS
            )
        },
        not_exercised="no packet is sent: whether the rules say what the site wants isn't tried; rules that other tools "
        "add to FORWARD and OUTPUT aren't compared",
    ),
    "firewalls.firewalld_daemon": Kind(
        "firewalld runs",
        level=1,
        interval_s=10.0,
        timeout_s=5.0,
        not_exercised="what rules are in the kernel",
    ),
    "firewalls.firewalld": Kind(
        "the active zones are as they were saved, and the kernel has their rules",
        level=2,
        interval_s=60.0,
        timeout_s=20.0,
        not_exercised="no packet is sent: whether the rules say what the site wants isn't tried; of rich rules, policies and "
        "direct rules it isn't compared what the kernel has",
    ),
}
