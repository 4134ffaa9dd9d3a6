"""Whether containers still run with what they were made with: what the engine says of one is held against how it was at first, and
against what the kernel says of its process and its limits. And which executables are no longer their image's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Optional

from hullmark.core.checks.described import (
    Container,
    described,
    engine_untold,
    excused,
    joined,
    listed,
    loaded,
    of_each,
)
from hullmark.core.checks.judge import Seen, error, failed, first_line
from hullmark.model.control import Finding, Trouble

USUAL = (
    *("CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID"),
    *("SETFCAP", "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE"),
)
"""What Docker gives a container that asks for nothing."""
NAMES = (
    *("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID"),
    *("SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW"),
    *("IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE"),
    *("SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME"),
    *("SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP"),
    *("MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ"),
    *("PERFMON", "BPF", "CHECKPOINT_RESTORE"),
)
"""By the kernel's number of each."""
REMAKE = (
    "find out who did it, and remove the container: Hullmark makes its own anew; run others again"
)
PAGE = 65536
"""The kernel rounds a limit of memory to whole pages; no machine's are larger."""
_FIELD = re.compile(r"^(\w+):\s*(\S+)", re.MULTILINE)
_DIGEST = re.compile(r"@(sha256:[0-9a-f]{64})$")
_ENDED = frozenset("XZ")


def drift(seen: Seen) -> Finding:
    finding = engine_untold(seen)
    if finding is not None:
        return finding
    security = listed(seen.find("security"))
    if security is None:
        return error("what the engine confines containers with: not understood")
    wrong: list[str] = []
    unclear: list[str] = []
    for name, reading in of_each(seen, "container"):
        found = described(reading)
        if found is None:
            return error(f"what the engine says of container {name} is not understood")
        said = [*_made(found), *_changed(seen, name, found)]
        said += _process(seen, name, found, security)
        said += [*_limits(seen, name, found), *_image(seen, name, found)]
        for what, bad in said:
            if not excused(seen.texts("except"), name, what.partition(":")[0]):
                (wrong if bad else unclear).append(f"{name}: {what}")
    if wrong:
        return failed(joined(wrong), REMAKE)
    return error(joined(unclear)) if unclear else seen.passed()


_Said = Iterator["tuple[str, bool]"]
"""What was found, its first word what can be excused; and whether it is wrong, or could not be told."""


def _made(found: Container) -> _Said:
    """What is otherwise than its label says that it was made."""
    if not found.made:
        return
    try:
        made = json.loads(found.made)
        mounts = {(str(source).rstrip("/"), str(target)) for source, target in made["Mounts"]}
        user, added = str(made["User"]), {_bare(each) for each in made.get("CapAdd") or ()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        yield "settings: its label says not in a known form how it was made", True
        return
    for key in ("Privileged", "ReadonlyRootfs", "Memory", "NanoCpus", "PidsLimit", "PidMode"):
        wanted, now = made.get(key) or 0, found.host.get(key) or 0
        unsaid = not wanted and key in ("PidsLimit", "PidMode") and now != "host"
        if wanted != now and not unsaid:
            yield f"{key}: made with {_shown(wanted)}, {_shown(now)} now", True
    more = {_bare(str(each)) for each in found.host.get("CapAdd") or ()} - added
    if more and "ALL" not in added:
        yield f"CapAdd: {', '.join(sorted(more))} besides what it was made with", True
    if user and user != found.user:
        yield f"user: made with {_shown(user)}, {_shown(found.user)} now", True
    for mount in found.mounts:
        source, target = str(mount.get("Source") or "").rstrip("/"), str(mount.get("Destination"))
        if mount.get("Type") == "bind" and (source, target) not in mounts:
            yield f"mounts: {_shown(source)} besides what it was made with", True


def _changed(seen: Seen, name: str, found: Container) -> _Said:
    reading = seen.find(f"first:{name}")
    if reading is None:
        return
    first = described(reading)
    if first is None:
        yield "settings: how they were at first is not understood", False
        return
    keys = sorted(set(first.host) | set(found.host))
    for key in keys:
        before, now = first.host.get(key), found.host.get(key)
        if (before or 0) != (now or 0):
            yield f"{key}: {_shown(before)} at first, {_shown(now)} now", True
    for what in ("image", "image_id", "user", "mounts", "bounding", "apparmor"):
        if getattr(first, what) != getattr(found, what):
            yield f"{what}: otherwise than at first", True


def _shown(value: Any) -> str:
    return first_line(str(value), 40) if value else "none"


def _process(seen: Seen, name: str, found: Container, security: Sequence[str]) -> _Said:
    reading = seen.find(f"status:{name}")
    if reading is None or reading.trouble is Trouble.MISSING:
        return  # it ended while it was looked at
    if reading.trouble is not Trouble.NONE:
        yield f"process: {reading.trouble.value}", False
        return
    fields = dict(_FIELD.findall(reading.text))
    if fields.get("State", "") in _ENDED:
        return
    try:
        bounding = int(fields["CapBnd"], 16)
        uid, seccomp, no_new = (int(fields[key]) for key in ("Uid", "Seccomp", "NoNewPrivs"))
    except (KeyError, ValueError):
        yield f"process: {reading.source} is not understood", False
        return
    options = [str(each).replace(":", "=", 1) for each in found.host.get("SecurityOpt") or ()]
    privileged = bool(found.host.get("Privileged"))
    if not privileged:
        more = _names(bounding) - _granted(found)
        if more:
            yield f"capabilities: its process has {', '.join(sorted(more))} besides", True
    has_seccomp = any(each.startswith("name=seccomp") for each in security)
    if has_seccomp and not privileged and "seccomp=unconfined" not in options and seccomp != 2:
        yield "seccomp: its process has no filter", True
    if {"no-new-privileges", "no-new-privileges=true"}.intersection(options) and no_new != 1:
        yield "no-new-privileges: its process can gain them", True
    user = found.user.partition(":")[0]
    if user not in ("", "0", "root") and uid == 0:
        yield f"user: its process is root's, and should be {first_line(user, 40)}'s", True


def _names(bits: int) -> set[str]:
    return {name for number, name in enumerate(NAMES) if bits >> number & 1}


def _granted(found: Container) -> set[str]:
    if found.bounding is not None:
        return {_bare(each) for each in found.bounding}
    added, dropped = (
        {_bare(str(each)) for each in found.host.get(key) or ()} for key in ("CapAdd", "CapDrop")
    )
    usual = set(NAMES) if "ALL" in added else set(USUAL)
    return (set() if "ALL" in dropped else usual - dropped) | (added - {"ALL"})


def _bare(capability: str) -> str:
    return capability.upper().replace("CAP_", "", 1)


def _limits(seen: Seen, name: str, found: Container) -> _Said:
    for what, key, slack in (("memory", "Memory", PAGE), ("pids", "PidsLimit", 0)):
        wanted, reading = found.host.get(key), seen.find(f"{what}:{name}")
        if not isinstance(wanted, int) or wanted <= 0 or reading is None:
            continue
        if reading.trouble is Trouble.MISSING:
            continue  # it ended while it was looked at, or its control groups are elsewhere
        text = reading.text.strip()
        if reading.trouble is not Trouble.NONE or not (text.isdecimal() or text == "max"):
            yield f"{what}: {reading.source} is not understood", False
        elif text == "max" or int(text) > wanted + slack:
            yield f"{what}: the kernel's limit is {text}, and should be {wanted}", True


def _image(seen: Seen, name: str, found: Container) -> _Said:
    """One that is named by digest is of that image."""
    digest, reading = _DIGEST.search(found.image), seen.find(f"image:{name}")
    if digest is None or reading is None or reading.trouble is Trouble.MISSING:
        return
    said = loaded(reading)
    digests = said.get("digests") if isinstance(said, dict) else None
    if reading.trouble is not Trouble.NONE or not isinstance(digests, list):
        yield f"image: {reading.source} is not understood", False
    elif not any(str(each).endswith(digest.group(0)) for each in digests):
        yield f"image: it is not {digest.group(1)[:19]}...", True


def files(seen: Seen) -> Finding:
    finding = engine_untold(seen)
    if finding is not None:
        return finding
    wrong: list[str] = []
    unclear: list[str] = []
    for name, reading in of_each(seen, "changes"):
        said = loaded(reading)
        entries = _entries(said)
        if entries is None:
            return error(f"what changed in container {name} is not understood")
        for entry in entries:
            path = str(entry.get("path") or "")
            if entry.get("size") == 0:  # nothing that runs: where the engine mounts its own init
                continue
            if not excused(seen.texts("except"), name, path):
                how = "added" if entry.get("kind") == 1 else "changed"
                wrong.append(f"{name}: {first_line(path, 80)} was {how}{_powers(entry)}")
        if reading.cut:
            unclear.append(f"{name}: {said['changed']} files changed, {said['looked']} looked at")
    if wrong:
        remedy = (
            "find out who wrote it (hullmark audit), and make the container anew from its image"
        )
        return failed(joined(wrong), remedy)
    if unclear:
        remedy = "make its files read-only, give it a volume where it writes, or raise `most`"
        return error(joined(unclear), remedy)
    return seen.passed()


def _entries(said: Any) -> Optional[list[Mapping[str, Any]]]:
    if not isinstance(said, dict) or not {"changed", "looked", "executables"} <= set(said):
        return None
    entries = said["executables"]
    if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
        return None
    return entries


def _powers(entry: Mapping[str, Any]) -> str:
    mode = str(entry.get("mode") or "")
    return f", mode {mode}" if mode[:1] in ("2", "4", "6") else ""
