"""Where masters are reached, by host and port."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from hullmark.core.portclaims import Masters
from hullmark.masterd.settings import Settings
from hullmark.model.records import MasterRecord


def of_all(master: str, settings: Settings, others: Mapping[str, MasterRecord]) -> Masters:
    """By agents and by people. `master` is this one, whose settings these are."""
    urls = {name: (*one.agents_urls, *one.api_urls) for name, one in others.items()}
    return places({**urls, master: (*settings.agents_urls, *settings.api_urls)})


def places(urls: Mapping[str, tuple[str, ...]]) -> Masters:
    return {
        name: tuple(
            (parts.hostname, parts.port)
            for parts in map(urlsplit, known)
            if parts.hostname and parts.port
        )
        for name, known in urls.items()
    }
