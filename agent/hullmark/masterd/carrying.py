"""What hosts' proxies carry: their agents are asked, because only a host sees its proxy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Optional

from hullmark.errors import InvalidInput
from hullmark.masterd.asking import ask
from hullmark.masterd.desk import Desk
from hullmark.model import jsontext
from hullmark.model.proxy import Traffic
from hullmark.model.wire import from_wire

WITHIN_S = 3.0


async def traffic_of(
    desk: Desk, host_ids: Iterable[str], app: str = "", service: str = ""
) -> Mapping[str, Traffic]:
    """Of one service, of one app's, or of all. Who does not answer soon is not in it. Raises StaleEpoch where this master stops meanwhile."""
    given = {"app": app, "service": service}
    questions = dict.fromkeys(host_ids, given)
    if not questions:
        return {}
    lines = await ask(desk, "traffic", questions, WITHIN_S)
    answers = {host_id: _read(line) for host_id, line in lines.items()}
    return {host_id: answer for host_id, answer in answers.items() if answer is not None}


def _read(line: bytes) -> Optional[Traffic]:
    """None of an agent that is older than this question, and says something else."""
    try:
        return from_wire(Traffic, jsontext.loads(line))
    except (ValueError, InvalidInput):
        return None
