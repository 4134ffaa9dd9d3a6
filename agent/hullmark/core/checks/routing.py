"""Whether who routes containers' networks to a host gets into them. Engines open ports that are published; what becomes of the others is
the packet filter's, and not every engine has it drop them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from hullmark.core.checks.judge import Seen, error, failed, not_understood, untold
from hullmark.model.control import Finding, Trouble

GUARDED_SINCE = 28
"""Docker's version from which on it drops what comes to containers' addresses from elsewhere, also to ports published on loopback."""
REMEDY = (
    "have the shop's firewall drop what is forwarded to the containers' networks from other hosts"
)
_TABLE = re.compile(r"^table (\S+) (\S+) \{")
_CHAIN = re.compile(r"^\s+chain (\S+) \{")
_HOOK = re.compile(r"hook forward priority [^;]*;(?: policy (\w+);)?")
_ENDS = re.compile(r"^(?:counter(?: packets \d+ bytes \d+)? )?(?:drop|reject)\b")
_OLD_ENDS = re.compile(r"^-A FORWARD -j (?:DROP|REJECT)\b")


def judge(seen: Seen) -> Finding:
    engine, forwarding = seen.find("engine"), seen.find("forwarding")
    if engine is None:
        return error("the engine: not looked at")
    finding = untold(engine)
    if finding is not None:
        return finding
    if forwarding is None or forwarding.trouble is not Trouble.NONE:
        return error("whether the kernel forwards: not looked at")
    if forwarding.text.strip() == "0":
        return seen.passed("the host forwards nothing")
    if forwarding.text.strip() != "1":
        return not_understood(forwarding)
    told = [one for one in (seen.find("rules"), seen.find("old_rules")) if one is not None]
    usable = [one for one in told if one.trouble is Trouble.NONE and one.code == 0 and not one.cut]
    if any(_drops(one.text) or _old_drops(one.text) for one in usable):
        return seen.passed(_left_open(engine.text))
    if not usable:
        return error("neither nft nor iptables-save says what is dropped")
    strange = [one for one in usable if one.text.strip() and not _known(one.text)]
    if strange:
        return not_understood(strange[0])
    return failed(
        "the host forwards, and no rule drops what isn't allowed: whoever routes containers' networks to it reaches all their ports",
        REMEDY,
    )


def _known(text: str) -> bool:
    return any(_TABLE.match(line) or line.startswith("*") for line in text.splitlines())


def _drops(ruleset: str) -> bool:
    """Whether a chain that all forwarded packets of IPv4 go through drops those that no rule accepts."""
    return any(
        policy == "drop" or (last and _ENDS.match(last)) for policy, last in _forward(ruleset)
    )


def _forward(ruleset: str) -> Iterator[tuple[str, str]]:
    """Policy and last rule of each chain at the hook, as `nft list ruleset` has them."""
    family, policy, last, hooked = "", "", "", False
    for line in ruleset.splitlines():
        table = _TABLE.match(line)
        if table:
            family = table[1]
        elif _CHAIN.match(line):
            policy, last, hooked = "", "", False
        elif "hook forward" in line and (hook := _HOOK.search(line)):
            hooked, policy = family in ("ip", "inet"), hook[1] or ""
        elif line.strip() == "}":
            if hooked:
                yield policy, last
            hooked = False
        else:
            last = line.strip()


def _old_drops(saved: str) -> bool:
    """The same of `iptables-save`."""
    lines = saved.partition("*filter\n")[2].partition("COMMIT\n")[0].splitlines()
    rules = [line for line in lines if line.startswith("-A FORWARD ")]
    dropped = any(line.startswith(":FORWARD DROP") for line in lines)
    return dropped or bool(rules and _OLD_ENDS.match(rules[-1]))


def _left_open(engine: str) -> str:
    """What the engine's version lets in all the same."""
    try:
        said = json.loads(engine)
        name, version = str(said["name"]), int(str(said["version"]).partition(".")[0])
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""
    if name == "docker" and version < GUARDED_SINCE:
        return f"Docker {version} lets who routes there to ports that are published on 127.0.0.1 with mode: host"
    return ""
