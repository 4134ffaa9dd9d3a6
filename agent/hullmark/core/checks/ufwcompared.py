"""Whether the kernel has the rules of ufw's files: every chain of theirs, rule by rule, jumps to them from the built-in chains, the
default policies, and nothing before them that isn't known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Optional

from hullmark.core.checks.iptrules import UNTOLD, Rules, read
from hullmark.core.checks.judge import (
    Seen,
    error,
    failed,
    first_line,
    not_applicable,
    not_understood,
    untold,
)
from hullmark.model.control import Finding, Reading, Trouble

_ENABLED = re.compile(r"^\s*ENABLED\s*=\s*[\"']?(yes|no)\b", re.MULTILINE | re.IGNORECASE)
_POLICY = re.compile(r"^\s*DEFAULT_(INPUT|OUTPUT|FORWARD)_POLICY\s*=\s*[\"']?(\w+)", re.MULTILINE)
_JUMP = re.compile(r"(?:\b(?:jump|goto)|-[jg]) (\S+)$")
BUILT_IN = ("INPUT", "FORWARD", "OUTPUT")
_ANEW = "/usr/lib/ufw/ufw-init flush-all, and ufw enable (an engine's rules go with it until it is restarted), or boot"
RELOAD = (
    "compare with iptables-save and find out who changed it; then ufw reload, and where that does not mend it: "
    + _ANEW
)
FLUSHED = (
    "find out who flushed ufw's rules: nftables does by its file, also at boot while ufw loads them; where it starts beside ufw, "
    "systemctl disable nftables, or update-rc.d nftables disable. Then " + _ANEW
)
_CUT_OFF = " does not jump to "
"""Between a chain and the chain of ufw's that isn't reached from it any more. `ufw reload` doesn't mend that."""
_OURS = ("skip-to-policy-", "reject-", "track-")
"""Chains that ufw fills by its defaults, not by its files."""


def judge(seen: Seen) -> Finding:
    off = _switched_off(seen)
    if off is not None:
        return off
    defaults = seen.find("defaults")
    policies = dict(_POLICY.findall(defaults.text)) if defaults is not None else {}
    if defaults is None or len(policies) != len(BUILT_IN):
        return not_understood(defaults) if defaults is not None else error("not looked at")
    kinds = ["4", "6"] if seen.find("live6") is not None else ["4"]
    for kind in kinds:
        unreadable = _unreadable(seen, kind)
        if unreadable is not None:
            return unreadable
        saved = read(*(each.text for each in seen.readings if each.name == f"saved{kind}"))
        live = read(seen[f"translated{kind}"].text)
        if saved is None or live is None:
            return not_understood(seen[f"saved{kind}" if saved is None else f"translated{kind}"])
        prefix = "ufw6-" if kind == "6" else "ufw-"
        found = [*_built_in(seen, prefix, policies, live)]
        for place in sorted(saved.rules):
            found += _chain(prefix, place, saved, live)
        wrong = next((each for each in found if not each.startswith(UNTOLD)), "")
        if wrong:
            remedy = FLUSHED if any(_CUT_OFF in each for each in found) else RELOAD
            return failed(f"live rules differ from ufw's files (IPv{kind}): {wrong}", remedy)
        if found:
            return error(f"can't be compared (IPv{kind}): rule of {found[0][len(UNTOLD) :]}")
    return seen.passed()


def _switched_off(seen: Seen) -> Optional[Finding]:
    """The finding where ufw isn't meant to filter, or that can't be told."""
    config, rules = seen.find("config"), seen.find("user4")
    if config is None:
        return error("ufw's configuration: not looked at")
    finding = untold(config)
    if finding is not None:
        return finding
    enabled = _ENABLED.findall(config.text)
    if not enabled:
        return not_understood(config)
    if enabled[-1].lower() == "yes":
        return None
    if rules is not None and rules.trouble not in (Trouble.NONE, Trouble.MISSING):
        return untold(rules)
    if rules is not None and "### tuple ###" in rules.text:
        return failed(
            "ufw has rules, and is not enabled", "ufw enable; or remove its rules: ufw reset"
        )
    return not_applicable("ufw is there, has no rules, and is not enabled")


def _unreadable(seen: Seen, kind: str) -> Optional[Finding]:
    wanted = (f"live{kind}", f"file{kind}", f"saved{kind}", f"translated{kind}")
    for reading in seen.readings:
        if reading.name in wanted:
            finding = _whole(reading)
            if finding is not None:
                return finding
    missing = [name for name in wanted if seen.find(name) is None]
    return error(f"{missing[0]}: not looked at") if missing else None


def _whole(reading: Reading) -> Optional[Finding]:
    if reading.trouble is Trouble.MISSING:
        return error(f"{reading.source}: not on this host, and ufw is enabled")
    finding = untold(reading)
    if finding is not None:
        return finding
    if reading.code:
        return not_understood(reading)
    return error(f"{reading.source}: too long to be compared") if reading.cut else None


def _built_in(seen: Seen, prefix: str, policies: dict[str, str], live: Rules) -> Iterator[str]:
    """What is wrong with the chains that the kernel itself goes through."""
    for chain in BUILT_IN:
        lax = live.policies.get(("filter", chain)) != "drop"
        if lax and policies[chain].upper() in ("DROP", "REJECT"):
            yield f"{chain} has policy {live.policies.get(('filter', chain), 'accept')}"
        for part in ("before", "after"):
            if not _jumps(live.of("filter", chain), f"{prefix}{part}-{chain.lower()}"):
                yield f"{chain}{_CUT_OFF}{prefix}{part}-{chain.lower()}"
        if not _jumps(
            live.of("filter", f"{prefix}before-{chain.lower()}"), f"{prefix}user-{chain.lower()}"
        ):
            yield f"{prefix}before-{chain.lower()}{_CUT_OFF}{prefix}user-{chain.lower()}"
        yield from _own_chains(prefix, chain, policies[chain].upper(), live)
    known = (f"{prefix}*", *seen.texts("jumps"))
    for rule in live.of("filter", "INPUT"):
        target = _JUMP.search(rule)
        if target is None or not any(fnmatchcase(target.group(1), each) for each in known):
            yield f"INPUT has a rule that is not ufw's: {first_line(rule, 80)}"


def _chain(prefix: str, place: tuple[str, str], saved: Rules, live: Rules) -> Iterator[str]:
    """What differs; it begins with UNTOLD where a rule is of a form that can't be compared."""
    table, chain = place
    wanted, found = saved.rules[place], live.of(*place)
    if chain.isupper():
        lost = [rule for rule in wanted if rule not in found]
        if lost:
            yield f"{table} {chain} lacks: {first_line(lost[0], 80)}"
        return
    # ufw adds this one itself, after those of its files.
    user = f"counter jump {chain.replace('-before-', '-user-', 1)}"
    if chain.startswith(f"{prefix}before-") and user not in wanted:
        found = [rule for rule in found if rule != user]
    if wanted == found:
        return
    differ = [pair for pair in zip(wanted, found) if pair[0] != pair[1]]
    if len(wanted) == len(found) and all(
        each.startswith(UNTOLD) for pair in differ for each in pair
    ):
        yield f"{UNTOLD}{chain}: {first_line(differ[0][0][len(UNTOLD) :], 80)}"
        return
    added = [rule for rule in found if rule not in wanted]
    lost = [rule for rule in wanted if rule not in found]
    what = (
        f"has also: {added[0]}" if added else f"lacks: {lost[0]}" if lost else "has another order"
    )
    yield f"{chain}: {len(found)} rules live, {len(wanted)} saved; it {first_line(what, 80)}"


def _own_chains(prefix: str, chain: str, policy: str, live: Rules) -> Iterator[str]:
    """Those that decide what is done by default accept nothing where the policy doesn't."""
    for part in _OURS if policy != "ACCEPT" else ():
        name = f"{prefix}{part}{chain.lower()}"
        accepting = [rule for rule in live.of("filter", name) if rule.endswith("accept")]
        if accepting:
            yield f"{name} has also: {first_line(accepting[0], 80)}"


def _jumps(rules: list[str], chain: str) -> bool:
    return any(rule in (f"counter jump {chain}", f"jump {chain}") for rule in rules)
