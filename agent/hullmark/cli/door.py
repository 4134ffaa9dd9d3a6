"""The way from a command to a master."""

from __future__ import annotations

from hullmark.cli.address import find
from hullmark.cli.client import Client
from hullmark.cli.options import Asked


def client(asked: Asked) -> Client:
    """For the master that the options, the environment or the standard places name. Connects when first used."""
    return Client(find(asked))
