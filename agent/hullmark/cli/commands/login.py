"""`hullmark login`"""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import click

from hullmark.cli import door, secretfile, show
from hullmark.cli.options import Asked, online
from hullmark.cli.words import duration, moment
from hullmark.errors import UsageError
from hullmark.model.api import SessionAnswer, SessionRequest

EPILOG = """\b
Example, on the master; then copy the file to ~/.config/hullmark/token:
  hullmark login --token-file session
  hullmark login --valid 1h
"""


@click.command(epilog=EPILOG)
@click.option(
    "--valid", default="8h", show_default=True, metavar="DURATION", help="How long it can be used."
)
@online
def command(asked: Asked, valid: str) -> None:
    """Make a token for use from another machine, over https://.

    Only on the master itself, over its Unix socket: who you are is what the system says. With --token-file
    the token goes to a new file, mode 0600, and is not shown.
    """
    client = door.client(asked)
    if not client.address.path:
        raise UsageError(
            f"a login is made on the master itself, not over {client.address}",
            remedy="log in there by SSH, then: hullmark login",
        )
    file = asked.token_file
    path = Path(file) if file else None
    if path is not None:
        secretfile.check_free(path)
    request = SessionRequest(duration(valid, "--valid"))
    answer = client.change(SessionAnswer, "POST", "/v1/sessions", request)
    if path is not None:
        secretfile.write(path, answer.token)
    if asked.json:
        _document(answer, file)
    else:
        show.lines(*_lines(answer, file))


def _document(answer: SessionAnswer, file: Optional[str]) -> None:
    fields = {
        "who": answer.who,
        "role": answer.role,
        "expires_at": answer.expires_at,
        "token_file": file or "",
    }
    show.document("login", {**fields, **({} if file else {"token": answer.token})})


def _lines(answer: SessionAnswer, file: Optional[str]) -> list[str]:
    until = moment(answer.expires_at)
    if file:
        return [f"{answer.who}  logged in as {answer.role} until {until}; token in {file}"]
    return [f"{answer.who}  logged in as {answer.role} until {until}", answer.token]
