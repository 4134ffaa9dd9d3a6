"""What hosts would refuse of a change that is only planned: their agents are asked, because only a host knows its own policy.

A change is never held up by this: who does not answer soon is named, and refuses when it comes to it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Optional

from hullmark.core.absence import is_ready
from hullmark.core.concerned import Wanted
from hullmark.errors import InvalidInput
from hullmark.masterd.asking import ask
from hullmark.masterd.desk import Desk
from hullmark.model import jsontext
from hullmark.model.foresight import Intended, PolicyAnswer, PolicyQuestion, PolicyRefusal
from hullmark.model.wire import from_wire, to_wire

WITHIN_S = 5.0
HOSTS_MOST = 64
"""So many are asked; more would be refused by policies that are the same."""


async def foresee(desk: Desk, wanted: Wanted) -> tuple[tuple[PolicyRefusal, ...], tuple[str, ...]]:
    """What is refused; and who can't say, each with why."""
    snapshot = desk.cluster.snapshot()
    ready = [host_id for host_id in wanted if is_ready(snapshot, host_id)][:HOSTS_MOST]
    answers = await _ask(desk, {host_id: wanted[host_id] for host_id in ready}) if ready else {}
    silent = []
    reasons: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for name, host_id in sorted((snapshot.host_name(host_id), host_id) for host_id in wanted):
        answer = answers.get(host_id)
        if answer is None or answer.error:
            why = answer.error if answer is not None else "it does not answer"
            silent.append(f"{name}: {why}")
            continue
        for item in answer.refused:
            reasons.setdefault((item.service, item.reasons), []).append(name)
    refused = [
        PolicyRefusal(service, tuple(hosts), why) for (service, why), hosts in reasons.items()
    ]
    return tuple(refused), tuple(silent)


async def _ask(desk: Desk, wanted: Wanted) -> Mapping[str, PolicyAnswer]:
    questions = {host_id: _arguments(services.values()) for host_id, services in wanted.items()}
    lines = await ask(desk, "judge", questions, WITHIN_S)
    answers = {host_id: _read(line) for host_id, line in lines.items()}
    return {host_id: answer for host_id, answer in answers.items() if answer is not None}


def _arguments(services: Iterable[Intended]) -> dict[str, str]:
    return {"asked": json.dumps(to_wire(PolicyQuestion(tuple(services))))}


def _read(line: bytes) -> Optional[PolicyAnswer]:
    """None of an agent that is older than this question, and says something else."""
    try:
        found = from_wire(PolicyAnswer, jsontext.loads(line))
    except (ValueError, InvalidInput):
        return None
    return found
