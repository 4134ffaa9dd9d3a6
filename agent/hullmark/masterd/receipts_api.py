"""The part of the agents' port where hosts say which canaries they found, and ask about their own."""

from __future__ import annotations

import re

from hullmark.errors import InvalidInput, Problem
from hullmark.masterd.desk import Call, Desk
from hullmark.masterd.route import Login, Route
from hullmark.model.outage import ReceiptsAnswer, ReceiptsRequest
from hullmark.model.protocol import RECEIPTS_PATH

AT_ONCE = 5000
_NONCE = re.compile(r"[0-9a-f]{32}")


async def exchange(desk: Desk, call: Call) -> ReceiptsAnswer:
    """Raises InvalidInput for what can't be a canary."""
    body: ReceiptsRequest = call.body
    if len(body.found) + len(body.asked) > AT_ONCE:
        raise InvalidInput([Problem("too many at once", field="found", allowed=f"{AT_ONCE}")])
    for nonce in (*body.asked, *(found.nonce for found in body.found)):
        if not _NONCE.fullmatch(nonce):
            raise InvalidInput(
                [Problem("no nonce", field="asked", allowed="32 hexadecimal digits")]
            )
    since = desk.cluster.leader_record.since
    return desk.receipts.exchange(call.caller.host_id, call.caller.who, body, since)


ROUTES = (
    Route(
        "POST",
        RECEIPTS_PATH,
        exchange,
        "Canaries that were found, and which of one's own were",
        ReceiptsAnswer,
        ReceiptsRequest,
        login=Login.HOST,
        body_max_bytes=2 << 20,
        sync=True,
    ),
)
