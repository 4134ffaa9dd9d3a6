"""Whether the host's proxy is the one that the agent told what to do."""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

import pytest

from hullmark.core.checks import JUDGES, Seen
from hullmark.model.control import Finding, Reading, Status, Trouble

FACTS = {"up": "yes", "pid": "41", "version": "2.6.12", "loaded": "aa", "written": "aa"}
PROXY = Reading("proxy", "/run/hullmark-proxy/worker.sock", facts=FACTS)


def judged(proxy: Reading = PROXY, changes: str = "", before: Optional[Reading] = None) -> Finding:
    readings = (proxy, Reading("changes", "/var/lib/hullmark-proxy", changes))
    return JUDGES["proxy.serving"](
        Seen(readings, level=2, before=() if before is None else (before,))
    )


def with_facts(**facts: str) -> Reading:
    return replace(PROXY, facts={**FACTS, **facts})


def test_one_that_serves_as_it_was_told_passes() -> None:
    assert judged(before=PROXY) == Finding(Status.PASS, 2, "HAProxy 2.6.12")


def test_a_host_without_one_has_no_such_control() -> None:
    absent = Reading("proxy", "/var/lib/hullmark-proxy", trouble=Trouble.MISSING)
    assert judged(absent).status is Status.NOT_APPLICABLE


@pytest.mark.parametrize(
    ("proxy", "changes", "words"),
    [
        (
            replace(with_facts(up="no", pid=""), errors="no socket"),
            "",
            "does not answer: no socket",
        ),
        (with_facts(up="no", pid=""), "", "does not answer: nothing answers at its socket"),
        (with_facts(pid="42"), "", "process 41 ended, and process 42 was started in its place"),
        (with_facts(loaded="bb"), "", "another configuration than that in its files"),
        (with_facts(replaced="/usr/sbin/haproxy"), "", "replaced on the disk: /usr/sbin/haproxy"),
        (PROXY, "changed by somebody else, and put back: haproxy.cfg", "put back: haproxy.cfg"),
    ],
)
def test_what_fails_says_why(proxy: Reading, changes: str, words: str) -> None:
    found = judged(proxy, changes, before=PROXY)
    assert (found.status, words in found.reason) == (Status.FAIL, True), found.reason


def test_one_that_came_back_passes_again() -> None:
    another = with_facts(pid="42")
    assert judged(another, before=another).status is Status.PASS
    down = with_facts(up="no", pid="")
    assert judged(another, before=down).status is Status.PASS, "that look failed already"


def test_nothing_seen_is_no_pass() -> None:
    assert JUDGES["proxy.serving"](Seen(())).status is Status.ERROR
    denied = Reading("proxy", "x", trouble=Trouble.DENIED)
    assert judged(denied).status is Status.ERROR
