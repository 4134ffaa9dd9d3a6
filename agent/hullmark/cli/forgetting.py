"""`hullmark master forget`: a master that was replaced is expected no more."""

from __future__ import annotations

import click

from hullmark.cli import door, show
from hullmark.cli.client import new_request_id
from hullmark.cli.options import Asked, online, ticket
from hullmark.model.drill import ForgetAnswer, ForgetRequest
from hullmark.model.wire import to_wire

PATH = "/v1/master/forget"


@click.command(
    "forget",
    short_help="Expect a master no more that is gone for good.",
    epilog="""\b
Example:
  hullmark master forget m2 --ticket CHG-881
""",
)
@click.argument("name", metavar="MASTER")
@ticket
@online
def command(asked: Asked, name: str, ticket: str) -> None:
    """Expect MASTER no more: it is gone for good, and its absence is nothing lost.

    It is refused for a master that is there. Its certificate is good until it ends: destroy its state folder.
    """
    request = ForgetRequest(name, new_request_id(), ticket)
    client = door.client(asked)
    answer = client.decoded(ForgetAnswer, client.change("POST", PATH, to_wire(request)))
    if asked.json:
        show.document("master-forget", answer, changed=True)
    else:
        show.lines(f"{answer.master}  forgotten")
