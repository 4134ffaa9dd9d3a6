"""How checks look at packet filters: nftables, ufw, firewalld. Nothing is loaded: saved rules are only given to the tools' own
compilers, which print what they would load.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Callable

from hullmark.host.eye import Eye, Probe
from hullmark.host.probes import firewalldbus
from hullmark.model.control import Reading, Trouble

RULES_MOST = 1 << 20
"""Bytes of rules, in any form."""
INCLUDES_MOST = 100
UFW_FILES = ("before.rules", "after.rules", "user.rules")
UFW6_FILES = ("before6.rules", "after6.rules", "user6.rules")
_INCLUDE = re.compile(r'^\s*include\s+"([^"]+)"', re.MULTILINE)
_TABLE = re.compile(r"\btable\s+(?:(ip|ip6|inet|arp|bridge|netdev)\s+)?([A-Za-z_][\w./-]*)")
_EXPIRES = re.compile(r" expires [0-9dhms]+")
_PASSING = re.compile(r"^# .*$|\[\d+:\d+\]", re.MULTILINE)
"""Of iptables-save: the time, and what was counted."""
_KNOWN_MOST = 16


class _Compiled:
    """What a text was compiled to, for as long as it stays the same: rules seldom change, and the kernel has to take part where
    nft compiles them, though it keeps nothing of it. Used by any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, Reading] = {}

    def get(self, key: str, compile_: Callable[[], Reading]) -> Reading:
        with self._lock:
            known = self._known.get(key)
        if known is not None:
            return known
        made = compile_()
        if made.trouble is Trouble.NONE and made.code == 0 and not made.cut:
            with self._lock:
                while len(self._known) >= _KNOWN_MOST:
                    del self._known[next(iter(self._known))]
                self._known[key] = made
        return made


_compiled = _Compiled()


def nftables(eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
    """`tables`, `saved`, `included`..., `compiled`, `live`, `recompiled`."""
    tables = eye.run("tables", ["nft", "list", "tables"])
    saved = _saved(eye, given)
    if tables.trouble is not Trouble.NONE or saved.trouble is not Trouble.NONE or not saved.text:
        return tables, saved
    included = tuple(_included(eye, saved.text))
    text = "\n".join([saved.text, *(each.text for each in included)])
    where = str(eye.at(saved.source))
    compiled = _compile(eye, "compiled", f'include "{where}"\n', text)
    wanted = {(family or "ip", name) for family, name in _TABLE.findall(text)}
    live = _live(eye, [each for each in _listed(tables.text) if each in wanted])
    if live.trouble is not Trouble.NONE or live.code:
        return tables, saved, *included, compiled, live
    recompiled = _compile(eye, "recompiled", live.text, _EXPIRES.sub("", live.text))
    return tables, saved, *included, compiled, live, recompiled


def _saved(eye: Eye, given: Mapping[str, object]) -> Reading:
    paths = given.get("paths")
    found = Reading("saved", "", trouble=Trouble.MISSING)
    for path in paths if isinstance(paths, (tuple, list)) else ():
        found = eye.file("saved", str(path), most=RULES_MOST)
        if found.trouble is not Trouble.MISSING:
            break
    return found


def _included(eye: Eye, text: str, depth: int = 3) -> Iterator[Reading]:
    """As `nft` finds them: relative ones in /etc."""
    for pattern in _INCLUDE.findall(text)[:INCLUDES_MOST]:
        absolute = pattern if pattern.startswith("/") else f"/etc/{pattern}"
        for path in eye.paths(absolute)[:INCLUDES_MOST]:
            found = eye.file("included", path, most=RULES_MOST)
            yield replace(found, facts={**found.facts, "pattern": pattern})
            if depth:
                yield from _included(eye, found.text, depth - 1)


def _listed(tables: str) -> list[tuple[str, str]]:
    lines = (line.split() for line in tables.splitlines())
    return [(words[1], words[2]) for words in lines if len(words) == 3 and words[0] == "table"]


def _live(eye: Eye, tables: Sequence[tuple[str, str]]) -> Reading:
    found = Reading("live", "nft list table", code=0, at=eye.wall())
    for family, name in tables:
        one = eye.run(
            "live", ["nft", "--stateless", "list", "table", family, name], most=RULES_MOST
        )
        if one.trouble is not Trouble.NONE or one.code or one.cut:
            return one
        found = replace(found, source=one.source, text=found.text + one.text)
    return found


def _compile(eye: Eye, name: str, text: str, key: str) -> Reading:
    """As if nothing were loaded yet. `--check`: the kernel is asked, and keeps nothing."""
    made = _compiled.get(
        key,
        lambda: eye.run(
            name,
            ["nft", "--check", "--debug=netlink", "-f", "-"],
            given=f"flush ruleset\n{text}",
            most=RULES_MOST,
        ),
    )
    return replace(made, name=name)


def ufw(eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
    """`config`, `defaults`, and where it is switched on of IPv4 and IPv6 (`4`, `6`): files (`user4`), their rules and the live
    ones as nftables' (`saved4`, `live4`)."""
    config = eye.file("config", "/etc/ufw/ufw.conf")
    defaults = eye.file("defaults", "/etc/default/ufw")
    user = eye.file("user4", "/etc/ufw/user.rules", most=RULES_MOST)
    readings = [config, defaults, user]
    if config.trouble is not Trouble.NONE or not re.search(
        r"(?im)^\s*ENABLED\s*=\s*[\"']?yes", config.text
    ):
        return tuple(readings)
    live4 = eye.run("live4", ["iptables-save"], most=RULES_MOST)
    readings += _ufw_rules(eye, live4, "4", UFW_FILES)
    if re.search(r"(?im)^\s*IPV6\s*=\s*[\"']?yes", defaults.text):
        live6 = eye.run("live6", ["ip6tables-save"], most=RULES_MOST)
        readings += _ufw_rules(eye, live6, "6", UFW6_FILES)
    return tuple(readings)


def _ufw_rules(eye: Eye, live: Reading, kind: str, files: Sequence[str]) -> list[Reading]:
    found = [eye.file(f"file{kind}", f"/etc/ufw/{name}", most=RULES_MOST) for name in files]
    readings = [live, *found]
    if all(each.trouble is Trouble.NONE for each in readings):
        # One after the other: each file is a whole of its own.
        for each in found:
            readings.append(_translate(eye, f"saved{kind}", each.text, kind))
        readings.append(_translate(eye, f"translated{kind}", live.text, kind))
    return readings


def _translate(eye: Eye, name: str, text: str, kind: str) -> Reading:
    """Words only: the kernel isn't asked."""
    made = _compiled.get(f"{kind} {_PASSING.sub('', text)}", lambda: _translated(eye, text, kind))
    return replace(made, name=name)


def _translated(eye: Eye, text: str, kind: str) -> Reading:
    if kind == "6":
        return eye.run(
            "6", ["ip6tables-restore-translate", "-f", "/dev/stdin"], given=text, most=RULES_MOST
        )
    return eye.run(
        "4", ["iptables-restore-translate", "-f", "/dev/stdin"], given=text, most=RULES_MOST
    )


def firewalld_daemon(eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
    return firewalldbus.daemon(eye)


def firewalld(eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
    found = firewalldbus.daemon(eye)
    process = next((each for each in found if each.name == "process"), None)
    return (*found, *firewalldbus.zones(eye, process)) if process is not None else found


PROBES: Mapping[str, Probe] = {
    "firewalls.nftables": nftables,
    "firewalls.ufw": ufw,
    "firewalls.firewalld_daemon": firewalld_daemon,
    "firewalls.firewalld": firewalld,
}
