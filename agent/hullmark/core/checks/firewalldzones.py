"""Whether firewalld runs, its zones are as they were saved, and the kernel has what they say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Optional

from hullmark.core.checks.judge import (
    Seen,
    error,
    failed,
    first_line,
    not_applicable,
    not_understood,
    untold,
)
from hullmark.model.control import RUNNING, Finding, Reading, Status, Trouble

_STATE = re.compile(r"\d+ \(.*\) ([A-Za-z]) .*", re.DOTALL)
_UNOWNED = re.compile(r"no such name|NameHasNoOwner|Failed to connect.*No such file", re.IGNORECASE)
"""Nobody has its name on the bus, or there is no bus."""
_NOT_COMPARED = frozenset({"short", "description", "version", "interfaces"})
"""Names for people, and what NetworkManager adds while the host runs."""
_CHAIN = re.compile(r"\s*chain (\S+) \{")
_PORT = re.compile(r"\b(tcp|udp|sctp|dccp) dport (\d+(?:-\d+)?)\b.* accept$")
_PLAIN = re.compile(r"ct (state|status) |iifname \"lo\"")
_BACKEND = re.compile(r"^\s*FirewallBackend\s*=\s*(\w+)", re.MULTILINE)
START = "systemctl status firewalld; then systemctl start firewalld"
RESTART = (
    "find out who changed it (nft list table inet firewalld); then systemctl restart firewalld"
)
RELOAD = "find out who changed it; then firewall-cmd --runtime-to-permanent to keep what runs, or firewall-cmd --reload for what is saved"


def judge_daemon(seen: Seen) -> Finding:
    program, owner = seen.find("program"), seen.find("owner")
    if program is None:
        return error("firewalld: not looked at")
    finding = untold(program)
    if finding is not None:
        return finding
    enabled = seen.find("enabled")
    if owner is None or enabled is None:
        return error("whether firewalld runs: not looked at")
    if owner.trouble is not Trouble.NONE:
        return error(f"{owner.source}: {owner.trouble.value or first_line(owner.errors)}")
    if isinstance(_value(owner), int) and not owner.code:
        return _process(seen)
    if owner.code and _UNOWNED.search(owner.errors):
        if enabled.trouble is Trouble.MISSING:
            return not_applicable("firewalld is there, and not enabled")
        return failed("firewalld does not run", START)
    return not_understood(owner)


def _process(seen: Seen) -> Finding:
    process, words = seen.find("process"), seen.find("words")
    if process is None or words is None:
        return error("firewalld's process: not looked at")
    if Trouble.MISSING in (process.trouble, words.trouble):
        return failed("firewalld does not run", START)
    finding = untold(process) or untold(words)
    if finding is not None:
        return finding
    state = _STATE.fullmatch(process.text)
    if state is None:
        return not_understood(process)
    if state.group(1) in "TtZX":
        return failed(f"firewalld's process is stopped (state {state.group(1)})", START)
    if "firewalld" not in words.text:
        return failed(f"its name on the bus is another's: {first_line(words.text, 80)}", START)
    return seen.passed(level=RUNNING)


def judge(seen: Seen) -> Finding:
    daemon = judge_daemon(seen)
    if daemon.status is not Status.PASS:
        return daemon
    for name in ("state", "default", "active", "config", "live"):
        reading = seen.find(name)
        if reading is None:
            return error(f"{name}: not looked at")
        gone = name == "live" and reading.code and "No such file" in reading.errors
        finding = None if gone else _unread(reading)
        if finding is not None:
            return finding
    if _value(seen["state"]) != "RUNNING":
        return failed(
            f"firewalld says of itself: {first_line(str(_value(seen['state'])), 40)}", START
        )
    zones = [
        each.name.partition(":")[2] for each in seen.readings if each.name.startswith("runtime:")
    ]
    if not zones:
        return error("firewalld has no zone at all")
    for reading in seen.readings:
        finding = _unread(reading) if reading.name.startswith("service:") else None
        if finding is not None:
            return finding
    for zone in zones:
        finding = _saved(seen, zone)
        if finding is not None:
            return finding
    return _in_kernel(seen, zones)


def _unread(reading: Reading) -> Optional[Finding]:
    if reading.trouble is Trouble.MISSING:
        return error(f"{reading.source}: not on this host")
    finding = untold(reading)
    if finding is not None:
        return finding
    if reading.code:
        return not_understood(reading)
    by_bus = reading.source.startswith("busctl")
    if (by_bus and _value(reading) is None) or (
        reading.name == "live" and "table inet" not in reading.text
    ):
        return not_understood(reading)
    return error(f"{reading.source}: too long to be compared") if reading.cut else None


def _saved(seen: Seen, zone: str) -> Optional[Finding]:
    """What is wrong with a zone's saved form."""
    runtime, permanent = seen.find(f"runtime:{zone}"), seen.find(f"permanent:{zone}")
    if runtime is None or permanent is None:
        return error(f"zone {zone}: not looked at")
    if permanent.code and "INVALID_ZONE" in permanent.errors:
        return failed(f"zone {zone} is not saved", RELOAD)
    for reading in (runtime, permanent):
        finding = _unread(reading)
        if finding is not None:
            return finding
        if not isinstance(_value(reading), dict):
            return not_understood(reading)
    now, then = _settings(runtime), _settings(permanent)
    for key in sorted((set(now) | set(then)) - _NOT_COMPARED):
        if _comparable(key, now.get(key)) != _comparable(key, then.get(key)):
            return failed(f"zone {zone}: {key} is otherwise than it was saved", RELOAD)
    return None


def _comparable(key: str, value: Any) -> object:
    """Order counts for nothing; rules that only refuse are added by others while the host runs, such as fail2ban."""
    if isinstance(value, list):
        shown = [json.dumps(each, sort_keys=True) for each in value]
        if key in ("rules_str", "rich_rules"):
            shown = [each for each in shown if not re.search(r" (reject|drop)\b", each)]
        return tuple(sorted(shown))
    return value or ()


def _in_kernel(seen: Seen, zones: list[str]) -> Finding:
    backend = _BACKEND.search(seen["config"].text)
    if backend is not None and backend.group(1).lower() != "nftables":
        said = "with this backend it is not compared what the kernel has"
        return seen.passed(f"zones are as they were saved; {said}", level=RUNNING)
    if seen["live"].code:
        return failed("firewalld runs, and its table isn't in the kernel", RESTART)
    chains = _chains(seen["live"].text)
    wrong = next(_wrong(seen, zones, chains), "")
    return (
        failed(f"live rules differ from firewalld's: {wrong}", RELOAD) if wrong else seen.passed()
    )


def _wrong(seen: Seen, zones: list[str], chains: Mapping[str, list[str]]) -> Iterator[str]:
    rules = chains.get("filter_INPUT", [])
    if not any("hook input" in rule for rule in rules):
        yield "filter_INPUT sees no packet"
    if not any(rule.startswith(("reject", "drop")) or "policy drop" in rule for rule in rules):
        yield "filter_INPUT refuses nothing"
    for rule in rules:
        if (rule.endswith(" accept") and not _PLAIN.search(rule)) or rule == "accept":
            yield f"filter_INPUT has also: {first_line(rule, 80)}"
    ways = [
        rule
        for chain, inside in chains.items()
        if chain.startswith("filter_INPUT_ZONES")
        for rule in inside
    ]
    if not any("jump filter_INPUT_ZONES" in rule for rule in rules):
        yield "filter_INPUT does not go to the zones"
    for zone in zones:
        name = f"filter_IN_{zone}"
        if name not in chains or not any(rule.endswith(name) for rule in ways):
            yield f"zone {zone} has no way there"
            continue
        yield from _zone(seen, zone, chains)


def _zone(seen: Seen, zone: str, chains: Mapping[str, list[str]]) -> Iterator[str]:
    settings = _settings(seen[f"runtime:{zone}"])
    allow = chains.get(f"filter_IN_{zone}_allow", [])
    wanted, certain = _ports(seen, settings)
    found = {(match.group(1), match.group(2)) for match in map(_PORT.search, allow) if match}
    for protocol, port in sorted(wanted - found):
        yield f"zone {zone} does not open {port}/{protocol}"
    others = [rule for rule in allow if rule.endswith("accept") and not _PORT.search(rule)]
    if certain and (found - wanted or others):
        extra = [f"{port}/{protocol}" for protocol, port in sorted(found - wanted)] or others
        yield f"zone {zone} has also: {first_line(extra[0], 80)}"
    for rule in chains.get(f"filter_IN_{zone}", []):
        lax = rule.endswith("accept") and "icmp" not in rule
        if lax and settings.get("target") != "ACCEPT":
            yield f"zone {zone} has also: {first_line(rule, 80)}"


def _ports(seen: Seen, settings: Mapping[str, Any]) -> tuple[set[tuple[str, str]], bool]:
    """Protocol and port of all that a zone opens, and whether these are all of its rules."""
    found, certain = _pairs(settings.get("ports")), True
    others = ("rules_str", "rich_rules", "protocols", "source_ports")
    certain = not any(settings.get(key) for key in others)
    waiting, done = list(settings.get("services") or ()), set()
    while waiting:
        name = str(waiting.pop())
        if name in done:
            continue
        done.add(name)
        reading = seen.find(f"service:{name}")
        service = _settings(reading) if reading is not None else {}
        certain = certain and bool(service) and not any(service.get(key) for key in others)
        found |= _pairs(service.get("ports"))
        waiting += list(service.get("includes") or ())
    return found, certain


def _pairs(ports: Any) -> set[tuple[str, str]]:
    pairs = [each for each in ports or () if isinstance(each, list) and len(each) == 2]
    return {(str(protocol), str(port)) for port, protocol in pairs}


def _chains(text: str) -> dict[str, list[str]]:
    """Rules by chain, as `nft list table` prints them; the first is the hook, where it has one."""
    found: dict[str, list[str]] = {}
    inside: Optional[list[str]] = None
    for line in text.splitlines():
        opened = _CHAIN.fullmatch(line)
        if opened is not None:
            inside = found.setdefault(opened.group(1), [])
        elif line.strip() == "}":
            inside = None
        elif inside is not None and line.strip():
            inside.append(line.strip())
    return found


def _value(reading: Reading) -> object:
    """Of busctl's answer, the only value; None where it isn't one."""
    try:
        answer = json.loads(reading.text)
    except (ValueError, RecursionError):
        return None
    data = answer.get("data") if isinstance(answer, dict) else None
    return data[0] if isinstance(data, list) and len(data) == 1 else data


def _settings(reading: Reading) -> dict[str, Any]:
    """Of an answer of the form a{sv}."""
    value = _value(reading)
    entries = value.items() if isinstance(value, dict) else ()
    return {key: entry.get("data") for key, entry in entries if isinstance(entry, dict)}
