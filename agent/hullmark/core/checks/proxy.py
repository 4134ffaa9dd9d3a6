"""Whether the host's proxy does what it was told, and is the one that was told it."""

from __future__ import annotations

from collections.abc import Mapping

from hullmark.core.checks.judge import Judge, Seen, error, failed, first_line, untold
from hullmark.model.control import Finding

PROXY, CHANGES = "proxy", "changes"
START = "see what it says: journalctl -u hullmark-proxy, or /var/log/hullmark-proxy.log; it is started again by its own service"
FIND_OUT = "find out who did it: hullmark audit show --kind proxy"


def judge_serving(seen: Seen) -> Finding:
    proxy = seen.find(PROXY)
    if proxy is None:
        return error("the proxy was not looked at")
    trouble = untold(proxy)
    if trouble is not None:
        return trouble
    facts = proxy.facts
    if facts.get("up") != "yes":
        why = first_line(proxy.errors) or "nothing answers at its socket"
        return failed(f"the proxy does not answer: {why}", START)
    process, former = facts.get("pid", ""), seen.former(PROXY)
    before = former.facts.get("pid", "") if former is not None else ""
    if before and before != process:
        return failed(
            f"process {before} ended, and process {process} was started in its place", START
        )
    changes = seen.find(CHANGES)
    if changes is not None and changes.text.strip():
        return failed(first_line(changes.text), FIND_OUT)
    if facts.get("loaded") != facts.get("written"):
        return failed("the proxy runs with another configuration than that in its files", FIND_OUT)
    if facts.get("replaced"):
        return failed(
            f"the proxy runs with files that were replaced on the disk: {facts['replaced']}",
            "service hullmark-proxy reload",
        )
    return seen.passed(f"HAProxy {facts.get('version', '')}".strip())


JUDGES: Mapping[str, Judge] = {"proxy.serving": judge_serving}
