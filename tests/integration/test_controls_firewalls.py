"""Checks of packet filters against nft, ufw and firewalld themselves, each in network and mount namespaces of its own."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Callable

import pytest

from hullmark.core.firewallrules import rendered
from hullmark.host.eye import Eye
from hullmark.model.control import Trouble
from hullmark.model.ports import FirewallNeeds, FirewallRule, Hook
from tests.integration.firewallroom import Room, firewalld

RULES = """flush ruleset
table inet host {
  set admins { type ipv4_addr; flags interval; elements = { 10.0.0.0/9, 10.128.0.0/9, 192.0.2.5 } }
  set banned { type ipv4_addr; flags dynamic,timeout; timeout 1h; }
  include "%s"
}
"""
CHAIN = """
  chain input {
    type filter hook input priority 0; policy drop;
    iifname "lo" accept
    ct state vmap { established : accept, related : accept, invalid : drop }
    tcp dport { 22, 2222-2230 } ip saddr @admins counter accept comment "people"
    icmpv6 type { nd-neighbor-solicit, echo-request } limit rate 5/second accept
    log prefix "no " group 2 reject with icmpx admin-prohibited
  }
"""
UFW_FUNCTIONS = Path("/usr/lib/ufw/ufw-init-functions")
AFTER_FIRST = "# now setup the secondary 'logging-deny' chains"
"""Where ufw is when the first chains are loaded, and the built-in ones jump to them. What is lost now it doesn't miss."""


def test_nftables_live_rules_against_the_saved_file(room: Room, tmp_path: Path) -> None:
    saved, chain = tmp_path / "nftables.conf", tmp_path / "input.nft"
    chain.write_text(CHAIN)
    saved.write_text(RULES % chain)

    def look() -> tuple[str, int, str]:
        return room.look("firewalls.nftables", paths=[str(saved)])

    assert look()[:1] == ("fail",)
    room.run("nft", "-f", str(saved))
    before = room.run("nft", "list", "ruleset")
    assert look() == ("pass", 2, "")
    assert room.run("nft", "list", "ruleset") == before
    room.run("nft", "add", "element", "inet", "host", "banned", "{ 192.0.2.77 }")
    room.run("iptables", "-A", "INPUT", "-j", "ACCEPT")
    assert look() == ("pass", 2, "")
    for change, reason in (
        ("insert rule inet host input accept", "chain inet host input: 6 rules live, 5 saved"),
        ("flush chain inet host input", "chain inet host input: 0 rules live, 5 saved"),
        ("chain inet host input { policy accept ; }", "has policy accept, saved is drop"),
        ("add element inet host admins { 198.51.100.1 }", "set host admins has other elements"),
        ("add table inet mine", "table inet mine is in the kernel only"),
        ("add table inet host { flags dormant ; }", "table inet host is switched off (dormant)"),
        ("flush ruleset", "table inet host isn't in the kernel"),
    ):
        room.run("nft", change)
        status, _, said = look()
        assert (status, reason in said) == ("fail", True), said
        room.run("nft", "-f", str(saved))
        assert look() == ("pass", 2, "")
    saved.write_text("gibberish\n")
    assert look()[0] == "fail"
    assert room.look("firewalls.nftables")[0] == "not_applicable"  # the package's own file
    assert room.look("firewalls.nftables", paths=["/etc/nowhere"])[0] == "not_applicable"


def test_a_list_that_nft_printed_is_a_saved_file_too(room: Room, tmp_path: Path) -> None:
    first, printed = tmp_path / "first", tmp_path / "printed"
    first.write_text(RULES.replace('include "%s"', CHAIN))
    room.run("nft", "-f", str(first))
    printed.write_text(room.run("nft", "list", "ruleset"))
    assert room.look("firewalls.nftables", paths=[str(printed)]) == ("pass", 2, "")


def with_ufw(room: Room, folder: Path) -> None:
    """Its files are the test's own."""
    room.run("cp", "-r", "/etc/ufw", str(folder))
    room.run("mount", "--bind", str(folder / "ufw"), "/etc/ufw")


def test_ufw_live_rules_against_its_files(room: Room, tmp_path: Path) -> None:
    with_ufw(room, tmp_path)
    assert room.look("firewalls.ufw")[0] == "not_applicable"
    room.run("ufw", "allow", "22/tcp")
    assert "inactive" in room.run("ufw", "status")
    assert room.look("firewalls.ufw") == ("fail", -1, "ufw has rules, and is not enabled")
    for words in ("--force enable", "limit 2222/tcp", "reject out 25/tcp"):
        room.run("ufw", *words.split())
    room.run(*["ufw", "deny", "from", "192.0.2.9", "to", "any", "port", "80,443", "proto", "tcp"])
    assert room.look("firewalls.ufw") == ("pass", 2, "")
    for change, reason, undo in (
        ("-I INPUT -s 192.0.2.1 -j ACCEPT", "INPUT has a rule that is not ufw's", "-D INPUT 1"),
        ("-P INPUT ACCEPT", "INPUT has policy accept", "-P INPUT DROP"),
        (
            "-A ufw-user-input -p tcp --dport 99 -j ACCEPT",
            "it has also: tcp dport 99",
            "-D ufw-user-input -p tcp --dport 99 -j ACCEPT",
        ),
        ("-A ufw-track-input -j ACCEPT", "ufw-track-input has also", "-F ufw-track-input"),
        ("-F ufw-user-input", "ufw-user-input: 0 rules live", ""),
        ("-F INPUT", "INPUT does not jump to ufw-before-input", ""),
    ):
        room.run("iptables", *change.split())
        status, _, said = room.look("firewalls.ufw")
        assert (status, reason in said) == ("fail", True), said
        if undo:
            room.run("iptables", *undo.split())
            assert room.look("firewalls.ufw") == ("pass", 2, "")
    assert "Status: active" in room.run("ufw", "status")
    # What the remedy says.
    room.run("/usr/lib/ufw/ufw-init", "flush-all")
    room.run("ufw", "--force", "enable")
    assert room.look("firewalls.ufw") == ("pass", 2, "")
    room.run("ip6tables", "-F", "ufw6-user-input")
    assert "(IPv6): ufw6-user-input: 0 rules live" in room.look("firewalls.ufw")[2]


def test_ufw_whose_first_chains_nftables_flushed_while_it_loaded_the_others(
    room: Room, tmp_path: Path
) -> None:
    """As at a boot where both start, and no rule of ufw's is reached."""
    functions = tmp_path / "functions"
    functions.write_text(
        UFW_FUNCTIONS.read_text().replace(
            AFTER_FIRST, f"{AFTER_FIRST}\n[ $exe = ip6tables ] || nft flush ruleset\n"
        )
    )
    with_ufw(room, tmp_path)
    room.run("ufw", "allow", "22/tcp")
    room.run("mount", "--bind", str(functions), str(UFW_FUNCTIONS))
    room.run("ufw", "--force", "enable")
    room.run("umount", str(UFW_FUNCTIONS))
    assert "Status: active" in room.run("ufw", "status")
    live = room.run("iptables-save", "-t", "filter")
    assert (":INPUT DROP" in live, "-A INPUT" in live) == (True, False)
    status, _, said = room.look("firewalls.ufw")
    assert (status, "INPUT does not jump to ufw-before-input" in said) == ("fail", True), said
    # What the remedy says; `ufw reload` ends with an error now.
    room.run("/usr/lib/ufw/ufw-init", "flush-all")
    room.run("ufw", "--force", "enable")
    assert room.look("firewalls.ufw") == ("pass", 2, "")
    # Later than ufw.
    room.run("nft", "flush", "ruleset")
    status, _, said = room.look("firewalls.ufw")
    assert (status, "INPUT has policy accept" in said) == ("fail", True), said
    room.run("ufw", "reload")
    assert room.look("firewalls.ufw") == ("pass", 2, "")


def printed_for_ufw() -> str:
    rule = FirewallRule(Hook.FORWARD, "containers", sources=("10.213.0.0/16",))
    return "\n".join(rendered("ufw", [FirewallNeeds("web1", (rule,))]))


def test_the_table_that_is_printed_for_ufw_is_loaded_with_its_rules(
    room: Room, tmp_path: Path
) -> None:
    """Also where it is pasted twice, and by nobody but ufw."""
    with_ufw(room, tmp_path)
    room.run("ufw", "--force", "enable")
    for _ in range(2):
        room.run("sh", "-es", given=printed_for_ufw())
    once = room.run("nft", "list", "table", "inet", "containers")
    assert once.count(" drop\n") == 2
    room.run("nft", "flush", "ruleset")
    room.run("/usr/lib/ufw/ufw-init", "start")
    assert room.run("nft", "list", "table", "inet", "containers") == once
    assert room.look("firewalls.ufw") == ("pass", 2, "")


OWN = '#!/bin/sh\nif [ "$1" = start ]; then\n    touch /run/own\nfi\n'
LOADED = "    /usr/sbin/nft -f /etc/ufw/containers.nft\n"


@pytest.mark.parametrize(
    "change",
    [
        lambda _: OWN,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("start)", "start )"),
        lambda text: text.replace("start)\n", f"start)\n#{LOADED}"),
    ],
)
def test_a_hook_that_a_shop_wrote_for_ufw_is_left_as_it_is_and_said_to_be(
    room: Room, tmp_path: Path, change: Callable[[str], str]
) -> None:
    with_ufw(room, tmp_path)
    room.run("ufw", "--force", "enable")
    hook = tmp_path / "ufw" / "after.init"
    own = change(hook.read_text()).encode()
    hook.write_bytes(own)
    mode = hook.stat().st_mode
    assert not mode & 0o100
    words = [*room.inside, "sh", "-es"]
    for _ in range(2):
        done = subprocess.run(words, input=printed_for_ufw(), capture_output=True, text=True)
        assert (done.returncode, "NOT KEPT: /etc/ufw/after.init" in done.stderr) == (1, True)
        assert (hook.read_bytes(), hook.stat().st_mode) == (own, mode)
    assert room.run("nft", "list", "table", "inet", "containers").count(" drop\n") == 2
    # What it asks for.
    hook.write_text(OWN.replace("fi\n", f"{LOADED}fi\n"))
    hook.chmod(0o750)
    room.run("sh", "-es", given=printed_for_ufw())
    room.run("nft", "flush", "ruleset")
    room.run("/usr/lib/ufw/ufw-init", "start")
    assert room.run("nft", "list", "table", "inet", "containers").count(" drop\n") == 2


def test_firewalld_zones_and_the_kernel(room: Room, tmp_path: Path) -> None:
    with firewalld(room, tmp_path) as daemon:
        ask: Callable[..., str] = lambda *words: room.run("firewall-cmd", "-q", *words)  # noqa: E731
        assert room.look("firewalls.firewalld") == ("pass", 2, "")
        ask("--add-port=8080/tcp")
        ask("--add-service=samba")
        assert "is otherwise than it was saved" in room.look("firewalls.firewalld")[2]
        ask("--runtime-to-permanent")
        assert room.look("firewalls.firewalld") == ("pass", 2, "")
        for change, reason in (
            (
                "add rule inet firewalld filter_IN_public_allow tcp dport 4444 accept",
                "has also: 4444/tcp",
            ),
            (
                "insert rule inet firewalld filter_INPUT ip saddr 192.0.2.1 accept",
                "filter_INPUT has also",
            ),
            ("flush chain inet firewalld filter_IN_public_allow", "zone public does not open"),
            ("flush table inet firewalld", "filter_INPUT refuses nothing"),
        ):
            room.run("nft", change)
            assert room.run("firewall-cmd", "--state") == "running\n"
            status, _, said = room.look("firewalls.firewalld")
            assert (status, reason in said) == ("fail", True), said
            ask("--reload")
            assert room.look("firewalls.firewalld") == ("pass", 2, "")
        daemon.send_signal(19)
        for kind in ("firewalls.firewalld_daemon", "firewalls.firewalld"):
            assert room.look(kind)[2] == "firewalld's process is stopped (state T)"


def test_a_command_that_reads_slowly_or_not_at_all_holds_nothing_up() -> None:
    much = "0123456789\n" * 100_000
    assert Eye(timeout_s=20).run("all", ["cat"], given=much, most=1 << 21).text == much
    assert Eye(timeout_s=20).run("none", ["true"], given=much).code == 0
    assert Eye(timeout_s=0.5).run("late", ["sleep", "20"], given=much).trouble is Trouble.TIMED_OUT
