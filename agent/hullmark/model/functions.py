"""The security functions of a host. Controls of one function stand for each other; requirements, marks and outages name them."""

from __future__ import annotations

from collections.abc import Mapping

FUNCTIONS: Mapping[str, str] = {
    "audit-trail": "audit trail",
    "local-logging": "local logs",
    "log-forwarding": "logs sent to another host",
    "log-protection": "logs kept from change",
    "log-retention": "logs kept for long enough",
    "file-integrity": "watch on files' integrity",
    "anti-malware": "malware scanner",
    "intrusion-prevention": "blocking of attackers",
    "time": "time from a trusted source",
    "firewall": "packet filter",
    "patching": "security updates",
    "engine-hardening": "settings of the container engine",
    "container-hardening": "settings of containers",
    "container-routing": "containers out of neighbours' reach",
    "container-drift": "change inside containers",
    "container-listeners": "ports that containers listen on",
    "service-proxy": "way between services",
    "watched-files": "files watched as they change",
    "hullmark-audit": "Hullmark's own record",
}
"""Each with a few words for people."""
OF_A_SITE = "site-"
"""How a function begins that only a site has."""
ONLY_WHERE_THERE = frozenset(
    {
        *("engine-hardening", "container-hardening", "container-drift", "container-listeners"),
        *("container-routing", "service-proxy"),
    }
)
"""Those about something that a host need not have: without it nothing is missing."""
