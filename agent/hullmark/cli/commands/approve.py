"""`hullmark approve`"""

from __future__ import annotations

import click

from hullmark.cli import door, show
from hullmark.cli.client import new_request_id
from hullmark.cli.options import Asked, online
from hullmark.cli.pendingtext import change_id, decided
from hullmark.model.changecontrol import Decision, DecisionAnswer
from hullmark.model.wire import to_wire

EPILOG = """\b
Example:
  hullmark changes show 3f9a01c2
  hullmark approve 3f9a01c2

\b
Exit codes: 0 approved and carried out, 2 refused: it is your own, it
has expired, or what it was made for changed meanwhile.
"""


@click.command(epilog=EPILOG)
@click.argument("change")
@online
def command(asked: Asked, change: str) -> None:
    """Approve another person's CHANGE, which is carried out at once as it was asked for.

    Nobody approves what he asked for himself, also not as root by sudo, and no token approves anything. Look at it first:
    hullmark changes show CHANGE.
    """
    client = door.client(asked)
    path = f"/v1/changes/{change_id(change)}/approve"
    request = to_wire(Decision(new_request_id()))
    answer = client.decoded(DecisionAnswer, client.change("POST", path, request))
    if asked.json:
        show.document("change", answer.change, changed=True)
    else:
        show.lines(*decided(answer.change))
