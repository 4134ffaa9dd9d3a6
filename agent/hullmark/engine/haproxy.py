"""A host's HAProxy: told what to do, asked what it does."""

from __future__ import annotations

from pathlib import Path

from hullmark.model.proxy import Member, PortTraffic, ProxyLook
from hullmark.model.proxyplan import Applied, ProxyPlan

FOLDER = Path("/var/lib/hullmark-proxy")
RUN_DIR = Path("/run/hullmark-proxy")


class Haproxy:
    """Its files are in `folder`, its sockets in `run_dir`. It is started by its own service manager, never from here. One thread at a time.

    Raises Refused, with HAProxy's own words, for what HAProxy doesn't take: then it goes on as it was, and its files too. Raises ProxyUnavailable
    where no process answers."""

    def __init__(self, folder: Path, run_dir: Path, binary: str = "haproxy") -> None:
        self.folder = folder
        self.run_dir = run_dir
        self.binary = binary

    def apply(self, plan: ProxyPlan) -> Applied:
        """Idempotent. The files are written also where no process runs (then it raises ProxyUnavailable): the next start finds them."""
        raise NotImplementedError

    def wanted(self) -> str:
        """The digest of the structure that was applied last: what `look().loaded` has to be. Empty before the first."""
        raise NotImplementedError

    def look(self) -> ProxyLook:
        """Never raises for a proxy that isn't there: `up` is False, `why` says more."""
        raise NotImplementedError

    def open_of(self, member: Member) -> int:
        """Connections that this container has from the proxy now, those of former workers too. Raises ProxyUnavailable."""
        raise NotImplementedError

    def traffic(self) -> tuple[PortTraffic, ...]:
        """Raises ProxyUnavailable."""
        raise NotImplementedError

    def tampered(self) -> tuple[str, ...]:
        """Names of files in the folder that aren't as they were last written from here; none before the first `apply`."""
        raise NotImplementedError

    def restore(self) -> None:
        """Write them again, and have the proxy load them. Raises ProxyUnavailable."""
        raise NotImplementedError
