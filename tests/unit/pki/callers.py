"""TLS contexts of callers: an agent's or a person's, as their own libraries make them."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Optional


def client_context(
    root: Path, certificate: Optional[Path] = None, key: Optional[Path] = None
) -> ssl.SSLContext:
    """For a caller; shows its own certificate where given. The server's name is checked."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(root)
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context
