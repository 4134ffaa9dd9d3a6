"""TLS contexts: version 1.2 and up, verified by the cluster's own root and nothing else."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Optional


def server_context(certificate: Path, key: Path, clients_root: Optional[Path]) -> ssl.SSLContext:
    """For a listener. With `clients_root`, clients must show a certificate that leads to it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    if clients_root is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients_root)
    return context


def client_context(certificate: Path, key: Path, root: Path) -> ssl.SSLContext:
    """For calls to a master: it is verified by the root, and shown this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(root)
    context.load_cert_chain(certificate, key)
    return context
