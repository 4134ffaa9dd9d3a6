"""`hullmark token`"""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import click

from hullmark.cli import door, secretfile, show
from hullmark.cli.client import new_request_id
from hullmark.cli.options import Asked, issuing, online, ticket
from hullmark.cli.table import table, width
from hullmark.cli.words import dated, duration, moment
from hullmark.errors import UsageError
from hullmark.model.people import (
    RevokeAnswer,
    RevokeRequest,
    Role,
    TokenAnswer,
    TokenList,
    TokenRequest,
    TokenView,
)
from hullmark.model.wire import to_wire

HEADS = ("NAME", "ROLE", "UNTIL", "USED", "MADE BY", "FROM")
PATH = "/v1/tokens"
ANYWHERE = "anywhere"


@click.group(
    no_args_is_help=False,
    epilog="""\b
Example:
  hullmark token create ci --role deployer --token-file ci.token
  hullmark token list
  hullmark token revoke ci
""",
)
def command() -> None:
    """Logins of machines: for pipelines, monitoring, scripts."""


@command.command(
    short_help="Make one.",
    epilog="""\b
Example:
  hullmark token create ci --role deployer --from 10.1.0.0/16 --token-file ci
  hullmark token create watch --role viewer --for 366d --from 10.1.2.3
""",
)
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    required=True,
    help="What it may do.",
)
@click.option(
    "--from",
    "networks",
    multiple=True,
    metavar="CIDR",
    help="Where it may come from; may be repeated. None: anywhere.",
)
@click.option(
    "--for",
    "life",
    default="90d",
    show_default=True,
    metavar="DURATION",
    help="How long it can be used, 366d at most.",
)
@ticket
@issuing
def create(
    asked: Asked,
    name: str,
    role: str,
    networks: tuple[str, ...],
    life: str,
    ticket: str,
    file: Optional[str],
) -> None:
    """Make a login for a machine, called NAME. It is shown this once.

    Use it as --token-file or HULLMARK_TOKEN_FILE, with a master's https:// address.
    """
    path = Path(file) if file else None
    if path is not None:
        secretfile.check_free(path)
    request = TokenRequest(
        name, Role(role), new_request_id(), duration(life, "--for"), networks, ticket
    )
    client = door.client(asked)
    answer = client.decoded(TokenAnswer, client.change("POST", PATH, to_wire(request)))
    if path is not None:
        secretfile.write(path, answer.token)
    if asked.json:
        hidden = {"token": "" if file else answer.token, "token_file": file or ""}
        show.document("token", answer, changed=True, **hidden)
        return
    until, sources = dated(answer.expires_at), " ".join(answer.networks) or ANYWHERE
    told = f"{answer.name}  {answer.role.value} from {sources} until {until}"
    show.lines(*([f"{told}; token in {file}"] if file else [told, answer.token]))


@command.command(
    name="list",
    short_help="List them.",
    epilog="""\b
Example:
  hullmark token list
  hullmark token list --output json
""",
)
@online
def list_tokens(asked: Asked) -> None:
    """List logins of machines, also those that have expired in the last 30 days."""
    tokens = door.client(asked).ask(TokenList, PATH).tokens
    if asked.json:
        show.document("tokens", {"tokens": tokens})
    elif tokens:
        show.lines(*table(HEADS, [_row(token) for token in tokens], width()))
    else:
        show.lines("there is no token; next: hullmark token create NAME --role ROLE")


@command.command(
    short_help="End one at once.",
    epilog="""\b
Example:
  hullmark token revoke ci
""",
)
@click.argument("name")
@ticket
@online
def revoke(asked: Asked, name: str, ticket: str) -> None:
    """End the login NAME at once, and what it holds open."""
    if not name or "/" in name or not name.isprintable():
        raise UsageError(f"not a token's name: {name[:80]!r}", remedy="hullmark token list")
    from urllib.parse import quote

    client = door.client(asked)
    request = RevokeRequest(new_request_id(), ticket)
    target = f"{PATH}/{quote(name, safe='')}"
    answer = client.decoded(RevokeAnswer, client.change("DELETE", target, to_wire(request)))
    if asked.json:
        show.document("token-revoke", answer, changed=True)
    else:
        show.lines(f"{answer.name}  revoked")


def _row(token: TokenView) -> tuple[str, ...]:
    until = dated(token.expires_at)
    return (
        token.name,
        token.role,
        f"EXPIRED {until}" if token.expired else until,
        moment(token.used_at) if token.used_at else "-",
        token.by,
        " ".join(token.networks) or ANYWHERE,
    )
