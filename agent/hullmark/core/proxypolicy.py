"""What of the leader's directory a host's own policy lets its proxy do."""

from __future__ import annotations

from dataclasses import replace

from hullmark.core import portrules, servicescopes
from hullmark.model.directory import Admission, Directory, PublishedEntry
from hullmark.model.policy import Policy


def allowed(
    directory: Directory, policy: Policy
) -> tuple[Directory, tuple[Admission, ...], tuple[PublishedEntry, ...]]:
    """As far as the host's own policy lets it; and what it does not."""
    kept, turned_away = servicescopes.admitted(policy, directory.admissions)
    rules = portrules.of_policy(policy)
    published: list[PublishedEntry] = []
    not_here: list[PublishedEntry] = []
    for one in directory.published:
        name = one.name
        fits = portrules.allows(rules, name.app, name.service, one.port, "tcp", one.host_ip)
        (published if fits else not_here).append(one)
    made = replace(directory, admissions=kept, published=tuple(published))
    return made, turned_away, tuple(not_here)
