"""The part of the agents' port where logs are vouched for: hosts and the other master offer heads and send records.

Heads are answered by each master, also by one that stands by: what two have sealed, one of them can't deny. Records of hosts are
taken in by the leader, those of the other master by each.
"""

from __future__ import annotations

from cryptography import x509

from hullmark.errors import Forbidden
from hullmark.masterd.desk import Call, Desk
from hullmark.masterd.identity import certificate_der
from hullmark.masterd.route import Login, Route
from hullmark.model.protocol import (
    AUDIT_PATH,
    HEADS_PATH,
    HeadAnswer,
    HeadOffer,
    Received,
    Shipment,
)

SHIPMENT_MAX_BYTES = 2 << 20
PATHS = frozenset({AUDIT_PATH, HEADS_PATH})


async def offer_head(desk: Desk, call: Call) -> HeadAnswer:
    """A seal within about a second."""
    certificate = x509.load_der_x509_certificate(certificate_der(call.request))
    return await desk.vouching.offer(_log_of(desk, call), certificate, call.body)


async def take_records(desk: Desk, call: Call) -> Received:
    if not call.caller.peer:
        desk.must_lead()
    return await desk.vouching.take(_log_of(desk, call), call.body)


def _log_of(desk: Desk, call: Call) -> str:
    """The one log that is the caller's own. Raises Forbidden for this master itself."""
    caller = call.caller
    if caller.host_id:
        return f"host:{caller.host_id}"
    log = f"master:{caller.peer}"
    if not caller.peer or log == desk.auditing.log:
        raise Forbidden("a master does not vouch for itself")
    return log


ROUTES = (
    Route(
        "POST",
        HEADS_PATH,
        offer_head,
        "A log's newest record, to be vouched for",
        HeadAnswer,
        HeadOffer,
        login=Login.HOST,
        sync=True,
        wakes=True,
        standby=True,
    ),
    Route(
        "POST",
        AUDIT_PATH,
        take_records,
        "Records of a log",
        Received,
        Shipment,
        login=Login.HOST,
        body_max_bytes=SHIPMENT_MAX_BYTES,
        sync=True,
        wakes=True,
        standby=True,
    ),
)
