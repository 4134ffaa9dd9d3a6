"""The way from a command to a master."""

from __future__ import annotations

from functools import partial

import click

from hullmark.cli.address import find
from hullmark.cli.client import ANSWER_S, RETRY_S, Client
from hullmark.cli.options import Asked
from hullmark.cli.words import duration


def client(asked: Asked, answer_s: float = ANSWER_S, retry_s: float = RETRY_S) -> Client:
    """For the master that the options, the environment or the standard places name. Connects when first used,
    and is closed when the command ends."""
    found = Client(find(asked), answer_s, retry_s)
    if asked.waits:
        found.decided = partial(_decided, asked, found)
    click.get_current_context().call_on_close(found.close)
    return found


def _decided(asked: Asked, client: Client, body: bytes) -> bool:
    """Wait for a second person, for as long as `--timeout` says."""
    from hullmark.cli.held import read, wait  # for this only

    return wait(client, read(body), duration(asked.timeout, "--timeout"), quiet=asked.json)
