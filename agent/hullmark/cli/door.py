"""The way from a command to a master."""

from __future__ import annotations

import click

from hullmark.cli.address import find
from hullmark.cli.client import Client
from hullmark.cli.options import Asked


def client(asked: Asked) -> Client:
    """For the master that the options, the environment or the standard places name. Connects when first used,
    and is closed when the command ends."""
    found = Client(find(asked))
    click.get_current_context().call_on_close(found.close)
    return found
