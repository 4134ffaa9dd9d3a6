"""`hullmark invite`"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import click

from hullmark.cli import door, failure, secretfile, show
from hullmark.cli.client import Client, new_request_id
from hullmark.cli.options import Asked, issuing, ticket
from hullmark.cli.target import host_name
from hullmark.cli.words import dated, duration, pairs
from hullmark.errors import HullmarkError
from hullmark.model.api import HostList, InviteAnswer, InviteRequest
from hullmark.model.wire import to_wire

EPILOG = """\b
Example:
  hullmark invite web3
  hullmark invite web3 --token-file /root/web3.token --label scope=cde
"""


@click.command(epilog=EPILOG)
@click.argument("host")
@click.option(
    "--valid", default="1h", show_default=True, metavar="DURATION", help="How long it can be used."
)
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="A label of the host.")
@ticket
@issuing
def command(
    asked: Asked,
    host: str,
    file: Optional[str],
    valid: str,
    labels: tuple[str, ...],
    ticket: str,
) -> None:
    """Make a token with which HOST joins the cluster, once."""
    request = InviteRequest(
        host_name(host),
        duration(valid, "--valid"),
        pairs(labels, "--label"),
        new_request_id(),
        ticket,
    )
    path = Path(file) if file else None
    if path is not None:
        secretfile.check_free(path)
    client = door.client(asked)
    answer = client.decoded(InviteAnswer, client.change("POST", "/v1/invites", to_wire(request)))
    if path is not None:
        secretfile.write(path, answer.token)
    if not asked.json:
        failure.warn(_enrolled_already(client, host))
    if asked.json:
        fields = {
            "changed": True,
            "host": answer.host,
            "token": "" if file else answer.token,
            "token_file": file or "",
            "expires_at": answer.expires_at,
        }
        show.document("invite", fields)
    else:
        show.lines(*_lines(answer, file))


def _enrolled_already(client: Client, host: str) -> Iterator[str]:
    """A warning, where it is so. The invite was made: an answer that doesn't come changes nothing."""
    try:
        hosts = client.ask(HostList, "/v1/hosts").hosts
    except HullmarkError:
        return
    if any(one.name == host for one in hosts):
        yield (
            f"host {host} is enrolled; with this token it can be enrolled again, and takes the place"
            " of the one that has its certificate now"
        )


def _lines(answer: InviteAnswer, file: Optional[str]) -> list[str]:
    until = dated(answer.expires_at)
    if file:
        return [
            f"{answer.host}  invited until {until}; token in {file}",
            f"next      copy it to {answer.host}, then there: hullmark agent enroll --token-file FILE",
        ]
    return [
        f"{answer.host}  invited until {until}. On {answer.host}, as root:",
        "",
        "  (umask 077; cat > token)     # then paste this, and Ctrl-D:",
        answer.token,
        "  hullmark agent enroll --token-file token && rm token",
    ]
