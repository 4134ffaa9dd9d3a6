"""A container that runs and that somebody took off networks of its app. On none of them any more nobody reaches it, and it reaches nobody."""

from __future__ import annotations

from hullmark.core.found import Found
from hullmark.core.statuses import failing_check
from hullmark.model import names
from hullmark.model.app import Attachment, Bundle
from hullmark.model.observed import DISCONNECTED, Phase


def running(engine: str, bundle: Bundle, found: Found) -> tuple[Phase, str]:
    """Of one that runs. On one of several networks of its app it serves there."""
    own = [one for one in bundle.container.networks if not bundle.networks[one.network].external]
    missing = [one for one in own if _name(bundle, one) not in found.addresses]
    loose = _connecting(engine, bundle, found, missing[0]) if missing else ""
    if missing and missing == own:
        return Phase.BACKOFF, loose
    return Phase.RUNNING, failing_check(found) or loose


def _name(bundle: Bundle, place: Attachment) -> str:
    """By the engine. Of networks that aren't its app's nothing is said: on those it may have no address in any case."""
    return names.engine_name(bundle.app, place.network)


def _connecting(engine: str, bundle: Bundle, found: Found, place: Attachment) -> str:
    """With what to type on its host, which puts it onto this network again, as it was there."""
    known = (f"--alias {name}" for name in names.known_as(bundle.service, place.aliases))
    words = [engine, "network", "connect", *known]
    words += [f"--ip {place.ipv4_address}"] * bool(place.ipv4_address)
    words += [f"--ip6 {place.ipv6_address}"] * bool(place.ipv6_address)
    return DISCONNECTED + " ".join([*words, _name(bundle, place), found.name])
