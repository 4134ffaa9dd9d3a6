"""What nft, iptables and firewalld print where the kernel has the saved rules, and where it hasn't."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from hullmark.core.checks.nftrules import Chain, Text, compiled, declared
from hullmark.model.checkkinds.firewalls import KINDS
from hullmark.model.control import Finding, Reading, Status, Trouble
from tests.unit.core.checks.looks import judged, looks_of, missing, reading

SAVED = """#!/usr/sbin/nft -f
flush ruleset
define web = { 80, 443 }
table inet host {
  set admins { type ipv4_addr; elements = { 192.0.2.5 } }  # who } may
  set banned { type ipv4_addr; flags dynamic,timeout; timeout 1h; }
  chain input {
    type filter hook input priority 0; policy drop;
    tcp dport $web accept comment "the { shop"
    ip saddr @admins counter accept
  }
}
"""
LISTED = """table inet host {
\tset admins {
\t\ttype ipv4_addr
\t\telements = { 192.0.2.5 }
\t}

\tchain input {
\t\ttype filter hook input priority filter; policy drop;
\t\ttcp dport { 80, 443 } accept comment "the { shop"
\t\tip saddr @admins counter packets 7 bytes 480 accept
\t}
}
"""
COMPILED = """inet (null) (null) use 0 type filter hook input prio 0 packets 0 bytes 0
admins host 0
admins host 0
\telement 050200c0  : 0 [end]
banned host 30 timeout 3600000ms
__set%d host 3 size 2
__set%d host 0
\telement 00005000  : 0 [end]\telement 0000bb01  : 0 [end]
inet host input
  [ meta load l4proto => reg 1 ]
  [ lookup reg 1 set __set%d ]
  [ immediate reg 0 accept ]
  userdata = { \\x00\\x0athe { shop\\x00 }
inet host input
  [ lookup reg 1 set admins ]
  [ counter pkts 0 bytes 0 ]
  [ immediate reg 0 accept ]

"""
LIVE = COMPILED.replace("pkts 0 bytes 0 ]", "pkts 7 bytes 480 ]").replace(
    "banned host 30 timeout 3600000ms\n",
    "banned host 30 size 65535\nbanned host 0\n\telement 01020304  : 0 [end]\n",
)


def nft(saved: str = SAVED, listed: str = LISTED, live: str = LIVE, **other: Reading) -> Finding:
    """`other` readings stand in for those of their name."""
    readings = {
        "tables": reading("tables", "table inet host\ntable ip nat\n", code=0),
        "saved": reading("saved", saved, source="/etc/nftables.conf"),
        "compiled": reading("compiled", COMPILED, code=0),
        "live": reading("live", listed, code=0),
        "recompiled": reading("recompiled", live, code=0),
    }
    return judged("firewalls.nftables", *{**readings, **other}.values())


def test_the_kernel_has_the_saved_rules() -> None:
    """Whatever was counted, and whoever was banned meanwhile."""
    found = nft()
    assert (found.status, found.level, found.reason) == (Status.PASS, 2, "")


RULE = "inet host input\n  [ immediate reg 0 accept ]\n\n"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"live": LIVE + RULE}, "chain inet host input: 3 rules live, 2 saved"),
        ({"live": LIVE.split("__set%d")[0]}, "chain inet host input: 0 rules live, 2 saved"),
        ({"live": LIVE.replace("bb01", "bb02")}, "input: 2 rules live, 2 saved; others"),
        ({"live": LIVE.replace("reg 0 accept ]\n  user", "reg 0 drop ]\n  user")}, "; others"),
        ({"live": LIVE.replace("050200c0", "060200c0")}, "set host admins has other elements"),
        (
            {
                "live": LIVE.replace("admins host 0\n", "", 2).replace(
                    "\telement 050200c0  : 0 [end]\n", ""
                )
            },
            "set host admins is not in the kernel",
        ),
        (
            {"listed": LISTED.replace("hook input", "hook output")},
            "chain inet host input has type filter hook output 0, saved is type filter hook input 0",
        ),
        (
            {"listed": LISTED.replace("priority filter", "priority filter + 10")},
            "has type filter hook input 10",
        ),
        (
            {"listed": LISTED.replace("priority filter", "priority mangle")},
            "has type filter hook input -150",
        ),
        (
            {"listed": LISTED.replace("policy drop", "policy accept")},
            "has policy accept, saved is drop",
        ),
        (
            {"listed": LISTED.replace("{\n", "{\n\tflags dormant\n", 1)},
            "table inet host is switched off (dormant)",
        ),
        ({"listed": "", "live": ""}, "table inet host isn't in the kernel"),
        (
            {"listed": LISTED[:-2] + "\tchain also {\n\t}\n}\n"},
            "chain inet host also is in the kernel only",
        ),
        (
            {"tables": reading("tables", "table inet host\ntable inet mine\n", code=0)},
            "table inet mine is in the kernel only",
        ),
    ],
)
def test_live_rules_that_differ(changed: dict[str, Any], reason: str) -> None:
    found = nft(**changed)
    assert found.status is Status.FAIL
    assert found.reason.startswith("live rules differ from /etc/nftables.conf: ")
    assert reason in found.reason


def test_a_saved_file_that_would_not_load() -> None:
    errors = "In file included from /dev/stdin:2:1-24:\n/etc/nftables.conf:3:1-3: Error: syntax error\nzzz\n"
    found = nft(compiled=reading("compiled", code=1, errors=errors))
    assert found.status is Status.FAIL
    assert "/etc/nftables.conf:3:1-3: Error: syntax error" in found.reason


def test_nftables_is_not_used() -> None:
    assert (
        judged("firewalls.nftables", missing("tables"), missing("saved")).status
        is Status.NOT_APPLICABLE
    )
    assert nft(saved=" ").status is Status.NOT_APPLICABLE
    tables = reading("tables", "", code=0)
    assert judged("firewalls.nftables", tables, missing("saved")).status is Status.NOT_APPLICABLE
    stock = "table inet filter {\n\tchain input {\n\t\ttype filter hook input priority 0;\n\t}\n}\n"
    hooked = "inet (null) (null) use 0 type filter hook input prio 0 packets 0 bytes 0\n"
    found = nft(saved=stock, compiled=reading("compiled", hooked, code=0))
    assert found.status is Status.NOT_APPLICABLE


@pytest.mark.parametrize(
    "changed",
    [
        {"tables": reading("tables", errors="Operation not permitted", code=1)},
        {"tables": reading("tables", "gibberish", code=0)},
        {"compiled": reading("compiled", errors="Error: Could not process rule: Operation not permitted", code=1)},
        {"compiled": reading("compiled", "gibberish", code=0)},
        {"compiled": reading("compiled", "", code=0)},
        {"compiled": reading("compiled", trouble=Trouble.TIMED_OUT)},
        {"live": "gibberish"},
        {"live": "inet host input\n  gibberish\n"},
        {"recompiled": reading("recompiled", code=1, errors="unsupported xtables compat expression")},
        {"recompiled": replace(reading("recompiled", LIVE, code=0), cut=True)},
        {"listed": LISTED[:-3]},
        {"saved": SAVED + "insert rule inet host input accept\n"},
        {"saved": SAVED + "add rule inet host input index 0 accept\n"},
        {"saved": SAVED + "delete chain inet host input\n"},
        {"saved": SAVED.replace("policy drop", "policy $usual")},
        {"saved": SAVED.replace("chain input", "chain $name")},
        {"saved": SAVED[:-3]},
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_no_pass(changed: dict[str, Any]) -> None:
    assert nft(**changed).status is Status.ERROR


def test_statements_of_their_own_declare_chains_too() -> None:
    found = declared(
        "add table inet a\nadd chain inet a b { type filter hook input priority 0 ; policy drop ; }\n"
        "add rule inet a b tcp dport 22 accept\ntable c {\nchain d { }\n}\n"
    )
    assert found.unclear == ""
    assert found.tables == [("inet", "a"), ("ip", "c")]
    assert found.chains == [Chain("inet", "a", "b"), Chain("ip", "c", "d")]
    assert found.policies == {Chain("inet", "a", "b"): "drop"}


def test_what_is_included_stands_where_the_file_says() -> None:
    found = declared(
        'table inet a {\n include "chains/*.nft"\n}\n',
        {
            "chains/*.nft": [
                "chain b {\n type filter hook input priority 0; policy drop;\n}",
                "chain c { }",
            ]
        },
    )
    assert found.chains == [Chain("inet", "a", "b"), Chain("inet", "a", "c")]
    assert found.policies == {Chain("inet", "a", "b"): "drop"}
    assert declared('include "x"\n', {"x": ['include "x"\n']}).unclear == ""


def test_what_the_kernel_has_already_is_left_out() -> None:
    found = compiled("inet host @admins\n\telement 050200c0  : 0 [end]\n", Text())
    assert found is not None
    assert (found.rules, found.sets) == ({}, {})


def of_before_1_0(printed: str) -> str:
    """It says the family alone."""
    return printed.replace("inet host input\n", "inet \n")


def test_an_nft_that_does_not_say_of_which_chain_a_rule_is() -> None:
    old = reading("compiled", of_before_1_0(COMPILED), code=0)
    assert nft(compiled=old, live=of_before_1_0(LIVE)).status is Status.PASS
    found = nft(compiled=old, live=of_before_1_0(LIVE).replace("050200c0", "060200c0"))
    assert found.status is Status.FAIL
    # A rule more than the text has.
    assert nft(compiled=old, live=of_before_1_0(LIVE + RULE)).status is Status.ERROR
    assert nft(compiled=old, listed="", live="").reason.endswith("inet host isn't in the kernel")
    listed = LISTED.replace("\t}\n}", "\t\tdrop\n\t}\n}")
    found = nft(compiled=old, listed=listed, live=of_before_1_0(LIVE + RULE))
    assert found.reason.endswith("chain inet host input: 3 rules live, 2 saved")


def test_an_nft_that_does_not_show_verdicts() -> None:
    silent = "__map%d host b size 1\n__map%d host 0\n\telement 00000001  : 0 [end]\n"
    assert nft(live=LIVE + silent).status is Status.ERROR
    listed = LISTED.replace("\t}\n}", "\t\tdrop\n\t}\n}")
    found = nft(live=LIVE + silent, listed=listed)
    assert found.reason.endswith("chain inet host input: 3 rules live, 2 saved")
    assert nft(live=LIVE + silent.replace(": 0", ": drop 0")).status is Status.PASS


def test_an_nft_that_says_no_hooks() -> None:
    """As those after 1.0: they stand in the text."""
    new = COMPILED.replace(COMPILED.splitlines()[0], "inet host input use 0")
    live = LIVE.replace(LIVE.splitlines()[0], "inet host input use 0")
    assert nft(compiled=reading("compiled", new, code=0), live=live).status is Status.PASS


@pytest.mark.parametrize(
    ("family", "said", "number"),
    [
        ("inet", "0", 0),
        ("ip", "-150", -150),
        ("ip", "srcnat", 100),
        ("ip", "mangle - 5", -155),
        ("bridge", "filter", -200),
        ("inet", "dstnat + 10", -90),
    ],
)
def test_priorities_in_words_and_numbers(family: str, said: str, number: int) -> None:
    found = declared(
        f"table {family} a {{\nchain b {{ type filter hook input priority {said}; }}\n}}\n"
    )
    assert list(found.hooks.values()) == [f"type filter hook input {number}"]


@pytest.mark.parametrize("said", ["$usual", "soon", ""])
def test_a_priority_that_is_not_known(said: str) -> None:
    text = f"table a {{\nchain b {{ type filter hook input priority {said}; }}\n}}\n"
    found = declared(text)
    assert bool(found.unclear) is (said != "")


def test_rules_are_counted_whatever_is_in_their_braces() -> None:
    found = declared(
        "table inet a {\n map m { type ipv4_addr : verdict; }\n chain b {\n"
        '  type filter hook ingress devices = { "x", "y" } priority 0; policy drop;\n'
        '  tcp dport vmap { 1 : accept,\n 2 : drop }\n  comment "no rule"\n  accept; drop\n }\n}\n'
        "add rule inet a b accept\nadd rule c d drop\n"
    )
    assert found.rules == [*[Chain("inet", "a", "b")] * 4, Chain("ip", "c", "d")]
    assert (found.unclear, list(found.policies.values())) == ("", ["drop"])


# -- ufw

CONFIG = "ENABLED=yes\nLOGLEVEL=low\n"
DEFAULTS = 'IPV6=no\nDEFAULT_INPUT_POLICY="DROP"\nDEFAULT_OUTPUT_POLICY="ACCEPT"\nDEFAULT_FORWARD_POLICY="DROP"\n'
USER = """# Translated by iptables-restore-translate v1.8.9 on Sun Nov 29 12:39:54 2026
add table ip filter
add chain ip filter ufw-user-input
add rule ip filter ufw-user-input tcp dport 22 counter accept
# -t filter -A ufw-user-input -p tcp --dport 2222 -m recent --set
add rule ip filter ufw-user-input tcp dport 2222 counter accept
# Completed on Sun Nov 29 12:39:54 2026
"""
UFW_LIVE = (
    """# Translated by iptables-restore-translate v1.8.9 on Sun Nov 29 12:39:54 2026
add table ip filter
add chain ip filter INPUT { type filter hook input priority 0; policy drop; }
add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }
add chain ip filter OUTPUT { type filter hook output priority 0; policy accept; }
add chain ip filter ufw-user-input
"""
    + "".join(
        f"add rule ip filter {chain} counter jump ufw-before-{chain.lower()}\n"
        f"add rule ip filter {chain} counter jump ufw-after-{chain.lower()}\n"
        f"add rule ip filter ufw-before-{chain.lower()} counter jump ufw-user-{chain.lower()}\n"
        for chain in ("INPUT", "FORWARD", "OUTPUT")
    )
    + """add rule ip filter FORWARD iifname "docker0" counter accept
add rule ip filter ufw-user-input tcp dport 22 counter accept
# -t filter -A ufw-user-input -p tcp -m tcp --dport 2222 -m recent --set --name DEFAULT --mask 255.255.255.255 --rsource
add rule ip filter ufw-user-input tcp dport 2222 counter accept
"""
)


def ufw(live: str = UFW_LIVE, config: str = CONFIG, **other: Reading) -> Finding:
    readings = {
        "config": reading("config", config),
        "defaults": reading("defaults", DEFAULTS),
        "user4": reading("user4", "### tuple ### allow tcp 22\n"),
        "live4": reading("live4", "*filter", code=0),
        "file4": reading("file4", "*filter"),
        "saved4": reading("saved4", USER, code=0),
        "translated4": reading("translated4", live, code=0),
    }
    return judged("firewalls.ufw", *{**readings, **other}.values())


def test_the_kernel_has_ufws_rules() -> None:
    found = ufw()
    assert (found.status, found.level, found.reason) == (Status.PASS, 2, "")


@pytest.mark.parametrize(
    ("live", "reason"),
    [
        (UFW_LIVE + "add rule ip filter ufw-user-input tcp dport 99 counter accept\n", "ufw-user-input: 4 rules live, 3 saved; it has also: tcp dport 99 counter accept"),
        (UFW_LIVE.replace("add rule ip filter ufw-user-input tcp dport 22 counter accept\n", ""), "it lacks: tcp dport 22 counter accept"),
        (UFW_LIVE + "insert rule ip filter INPUT ip saddr 192.0.2.1 counter accept\n", "INPUT has a rule that is not ufw's: ip saddr 192.0.2.1 counter accept"),
        (UFW_LIVE.replace("input priority 0; policy drop", "input priority 0; policy accept"), "INPUT has policy accept"),
        (UFW_LIVE.replace("add rule ip filter INPUT counter jump ufw-before-input\n", ""), "INPUT does not jump to ufw-before-input"),
        (UFW_LIVE.replace("add rule ip filter ufw-before-input counter jump ufw-user-input\n", ""), "ufw-before-input does not jump to ufw-user-input"),
        (UFW_LIVE + "add rule ip filter ufw-track-input counter accept\n", "ufw-track-input has also: counter accept"),
        (UFW_LIVE.replace("\n# -t filter", "\nadd rule ip filter ufw-user-input counter drop\n# -t filter"), "it has also: counter drop"),
        ("add table ip filter\n", "INPUT has policy accept"),
    ],
)  # fmt: skip
def test_live_rules_that_differ_from_ufws(live: str, reason: str) -> None:
    found = ufw(live)
    assert found.status is Status.FAIL, found
    assert reason in found.reason


def test_who_flushed_ufws_rules_is_looked_for_where_they_are_not_reached() -> None:
    """Whether all went or, as at boot, only what was loaded before."""
    cut_off = UFW_LIVE.replace("add rule ip filter INPUT counter jump ufw-before-input\n", "")
    for live in (cut_off, "add table ip filter\n"):
        assert "systemctl disable nftables" in ufw(live).remedy
    changed = ufw(UFW_LIVE + "add rule ip filter ufw-user-input tcp dport 99 counter accept\n")
    assert "find out who changed it" in changed.remedy


def test_ufw_with_rules_that_is_not_enabled_fails() -> None:
    """Also though `ufw status` ends with 0 there."""
    found = ufw(config="ENABLED=no\n")
    assert (found.status, found.reason) == (Status.FAIL, "ufw has rules, and is not enabled")
    found = ufw(config="ENABLED=no\n", user4=reading("user4", "*filter\n"))
    assert found.status is Status.NOT_APPLICABLE
    assert judged("firewalls.ufw", missing("config")).status is Status.NOT_APPLICABLE


@pytest.mark.parametrize(
    "changed",
    [
        {"live": "gibberish"},
        {"live": ""},
        {"live": UFW_LIVE.replace("--dport 2222 -m recent --set", "--dport 2222 -m recent --update")},
        {"config": "gibberish"},
        {"defaults": reading("defaults", "gibberish")},
        {"saved4": reading("saved4", "gibberish", code=0)},
        {"saved4": reading("saved4", errors="no", code=1)},
        {"live4": missing("live4")},
        {"live4": reading("live4", errors="Permission denied (you must be root)", code=4)},
        {"file4": missing("file4")},
        {"translated4": replace(reading("translated4", UFW_LIVE, code=0), cut=True)},
    ],
)  # fmt: skip
def test_what_of_ufws_cannot_be_compared_is_no_pass(changed: dict[str, Any]) -> None:
    assert ufw(**changed).status is Status.ERROR


# -- firewalld


def said(name: str, value: Any, form: str = "s", code: int = 0) -> Reading:
    text = json.dumps({"type": form, "data": [value]})
    return reading(name, text, code=code, source=f"busctl {name}")


def settings(**values: Any) -> dict[str, Any]:
    return {key: {"type": "?", "data": value} for key, value in values.items()}


TABLE = """table inet firewalld {
	chain filter_INPUT {
		type filter hook input priority filter + 10; policy accept;
		ct state { established, related } accept
		iifname "lo" accept
		jump filter_INPUT_ZONES
		reject with icmpx admin-prohibited
	}

	chain filter_INPUT_ZONES {
		goto filter_IN_public
	}

	chain filter_IN_public {
		jump filter_IN_public_allow
		meta l4proto { icmp, ipv6-icmp } accept
		reject with icmpx admin-prohibited
	}

	chain filter_IN_public_allow {
		tcp dport 22 accept
		udp dport 137 ct helper set "helper-netbios-ns-udp"
		tcp dport 8080-8090 accept
	}
}
"""
ZONE = settings(short="Public", services=["ssh"], ports=[["8080-8090", "tcp"]], target="default")


def firewalld(other: dict[str, Reading], kind: str = "firewalls.firewalld") -> Finding:
    readings = {
        "program": reading("program"),
        "enabled": reading("enabled"),
        "owner": said("owner", 812, "u"),
        "process": reading("process", "812 (firewalld) S 1 812 812 0"),
        "words": reading("words", "/usr/bin/python3 /usr/sbin/firewalld --nofork "),
        "state": reading("state", '{"type":"s","data":"RUNNING"}', code=0, source="busctl"),
        "default": said("default", "public"),
        "active": said("active", {}, "a{sa{sas}}"),
        "runtime:public": said("runtime:public", ZONE),
        "permanent:public": said("permanent:public", {**ZONE, **settings(interfaces=["eth0"])}),
        "service:ssh": said("service:ssh", settings(ports=[["22", "tcp"]])),
        "config": reading("config", "FirewallBackend=nftables\n"),
        "live": reading("live", TABLE, code=0),
    }
    return judged(kind, *{**readings, **other}.values())


def test_firewalld_and_the_kernel_agree() -> None:
    assert firewalld({}, "firewalls.firewalld_daemon").status is Status.PASS
    found = firewalld({})
    assert (found.status, found.level) == (Status.PASS, 2)


def test_with_iptables_underneath_less_is_proven() -> None:
    found = firewalld({"config": reading("config", "FirewallBackend=iptables\n")})
    assert (found.status, found.level) == (Status.PASS, 1)


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"process": reading("process", "812 (firewalld) T 1 812")}, "firewalld's process is stopped (state T)"),
        ({"process": missing("process")}, "firewalld does not run"),
        ({"words": reading("words", "/usr/bin/impostor")}, "its name on the bus is another's"),
        ({"owner": reading("owner", errors="Call failed: Could not get PID of name: no such name", code=1)}, "firewalld does not run"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["firewalls.firewalld_daemon", "firewalls.firewalld"])
def test_firewalld_does_not_run(kind: str, other: dict[str, Reading], reason: str) -> None:
    found = firewalld(other, kind)
    assert found.status is Status.FAIL
    assert reason in found.reason


def test_firewalld_without_a_bus_does_not_run() -> None:
    errors = "Failed to connect to system scope bus via local transport: No such file or directory"
    owner = reading("owner", errors=errors, code=1)
    assert firewalld({"owner": owner}).reason == "firewalld does not run"
    denied = reading("owner", errors="Failed to connect to bus: Permission denied", code=1)
    assert firewalld({"owner": denied}).status is Status.ERROR


def test_firewalld_is_not_used() -> None:
    for kind in ("firewalls.firewalld_daemon", "firewalls.firewalld"):
        assert judged(kind, missing("program")).status is Status.NOT_APPLICABLE
        gone = reading("owner", errors="no such name", code=1)
        found = firewalld({"owner": gone, "enabled": missing("enabled")}, kind)
        assert found.status is Status.NOT_APPLICABLE


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"permanent:public": said("p", settings(services=["ssh"], target="default"))}, "zone public: ports is otherwise than it was saved"),
        ({"permanent:public": reading("p", errors="INVALID_ZONE: public", code=1)}, "zone public is not saved"),
        ({"state": reading("state", '{"type":"s","data":"FAILED"}', code=0)}, "firewalld says of itself: FAILED"),
        ({"live": reading("live", errors="Error: No such file or directory", code=1)}, "its table isn't in the kernel"),
        ({"live": reading("live", "table inet firewalld {\n}\n", code=0)}, "filter_INPUT sees no packet"),
        ({"live": reading("live", TABLE.replace("\t\ttcp dport 22 accept\n", ""), code=0)}, "zone public does not open 22/tcp"),
        ({"live": reading("live", TABLE.replace("dport 22 accept\n", "dport 22 accept\n\t\ttcp dport 99 accept\n"), code=0)}, "zone public has also: 99/tcp"),
        ({"live": reading("live", TABLE.replace("dport 22 accept\n", "dport 22 accept\n\t\tip saddr 192.0.2.1 accept\n"), code=0)}, "zone public has also: ip saddr 192.0.2.1 accept"),
        ({"live": reading("live", TABLE.replace("\t\tiifname", "\t\tip saddr 192.0.2.1 accept\n\t\tiifname"), code=0)}, "filter_INPUT has also: ip saddr 192.0.2.1 accept"),
        ({"live": reading("live", TABLE.replace("\t\tgoto filter_IN_public\n", ""), code=0)}, "zone public has no way there"),
    ],
)  # fmt: skip
def test_firewalld_differs(other: dict[str, Reading], reason: str) -> None:
    found = firewalld({key: replace(one, name=key) for key, one in other.items()})
    assert found.status is Status.FAIL, found
    assert reason in found.reason


def test_rules_that_only_refuse_may_come_and_go() -> None:
    banned = {
        **ZONE,
        **settings(rules_str=['rule family="ipv4" source address="192.0.2.9" reject']),
    }
    assert firewalld({"runtime:public": said("runtime:public", banned)}).status is Status.PASS


@pytest.mark.parametrize(
    "name",
    [
        "owner",
        "process",
        "state",
        "active",
        "runtime:public",
        "permanent:public",
        "live",
        "service:ssh",
    ],
)
def test_firewalld_garbled(name: str) -> None:
    text = reading(name, "gibberish", code=None if name == "process" else 0, source="busctl")
    assert firewalld({name: text}).status is Status.ERROR


NAMES = (
    *("tables", "saved", "included", "compiled", "live", "recompiled"),
    *("config", "defaults", "user4", "live4", "file4", "saved4", "translated4", "live6"),
    *("program", "enabled", "owner", "process", "words", "state", "default", "active"),
    *("runtime:public", "permanent:public", "service:ssh"),
)


@given(looks_of(NAMES))
def test_nonsense_never_passes(readings: tuple[Reading, ...]) -> None:
    for kind in KINDS:
        found = judged(kind, *readings)
        assert found.status is not Status.PASS
        assert found.reason


@given(looks_of(("runtime:public", "permanent:public", "live", "service:ssh", "state")))
def test_nonsense_from_a_daemon_that_runs_never_passes(readings: tuple[Reading, ...]) -> None:
    other = {one.name: one for one in readings}
    if "live" in other:
        assert firewalld(other).status is not Status.PASS
    else:
        firewalld(other)
