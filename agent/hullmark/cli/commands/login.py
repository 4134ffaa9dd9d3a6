"""`hullmark login`"""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import click

from hullmark.cli import door, secretfile, show
from hullmark.cli.address import named
from hullmark.cli.options import Asked, issuing
from hullmark.cli.words import dated, duration
from hullmark.errors import UsageError
from hullmark.model.api import SessionAnswer, SessionRequest
from hullmark.model.wire import to_wire

EPILOG = """\b
Example, on the master; then copy the file to ~/.config/hullmark/token:
  hullmark login --token-file session
  hullmark login --valid 1h
"""


@click.command(epilog=EPILOG)
@click.option(
    "--valid", default="8h", show_default=True, metavar="DURATION", help="How long it can be used."
)
@issuing
def command(asked: Asked, valid: str, file: Optional[str]) -> None:
    """Make a token for use from another machine, over https://.

    Only on the master itself, over its Unix socket: who you are is what the system says.
    """
    url = named(asked)
    if url.startswith("https://"):
        raise UsageError(
            f"a login is made on the master itself, not over {url[:120]}",
            remedy="log in there by SSH, then: hullmark login",
        )
    client = door.client(asked)
    path = Path(file) if file else None
    if path is not None:
        secretfile.check_free(path)
    request = SessionRequest(duration(valid, "--valid"))
    answer = client.decoded(SessionAnswer, client.change("POST", "/v1/sessions", to_wire(request)))
    if path is not None:
        secretfile.write(path, answer.token)
    if asked.json:
        _document(answer, file)
    else:
        show.lines(*_lines(answer, file))


def _document(answer: SessionAnswer, file: Optional[str]) -> None:
    fields = {
        "changed": True,
        "who": answer.who,
        "role": answer.role,
        "expires_at": answer.expires_at,
        "token": "" if file else answer.token,
        "token_file": file or "",
    }
    show.document("login", fields)


def _lines(answer: SessionAnswer, file: Optional[str]) -> list[str]:
    until = dated(answer.expires_at)
    if file:
        return [f"{answer.who}  logged in as {answer.role} until {until}; token in {file}"]
    return [f"{answer.who}  logged in as {answer.role} until {until}", answer.token]
