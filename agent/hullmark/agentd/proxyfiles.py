"""The files of a host's proxy that hold its certificate, and what the agent keeps of them.

proxy.pem   in the proxy's folder: its chain, then its key, as HAProxy takes them in one file
root.pem    there too: what it verifies other hosts' proxies by
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

CERTIFICATE, ROOT = "proxy.pem", "root.pem"
RECORD = "proxy-certificate.json"
"""In the agent's state folder, written last."""
PENDING_KEY = "proxy-pending.key"


@dataclass(frozen=True)
class ProxyRecord:
    """What was written. Times are seconds since 1970; `sha256` is the fingerprint of both files, which say nothing to an agent without
    the library for certificates."""

    cluster_id: str
    host_id: str
    valid_from: float
    valid_until: float
    sha256: str

    def of(self, cluster_id: str, host_id: str, proxy_folder: Path) -> bool:
        """Whether the files that are there are those that were written, for this host."""
        found = cluster_id, host_id, fingerprint(proxy_folder)
        return found == (self.cluster_id, self.host_id, self.sha256)


def fingerprint(proxy_folder: Path) -> str:
    """Of both files as they are; a file that can't be read is as an empty one."""
    found = hashlib.sha256()
    for name in (CERTIFICATE, ROOT):
        try:
            found.update((proxy_folder / name).read_bytes())
        except OSError:
            continue
    return found.hexdigest()
