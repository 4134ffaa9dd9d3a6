"""The way from a command to a master."""

from __future__ import annotations

import click

from hullmark.cli.address import find
from hullmark.cli.client import ANSWER_S, RETRY_S, Client
from hullmark.cli.options import Asked


def client(asked: Asked, answer_s: float = ANSWER_S, retry_s: float = RETRY_S) -> Client:
    """For the master that the options, the environment or the standard places name. Connects when first used,
    and is closed when the command ends."""
    found = Client(find(asked), answer_s, retry_s)
    click.get_current_context().call_on_close(found.close)
    return found
