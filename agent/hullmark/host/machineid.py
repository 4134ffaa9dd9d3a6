"""What tells this machine from others, without telling who it is: derived from machine-id(5), which itself is given to nobody."""

from __future__ import annotations

import hashlib
import hmac
import socket
from pathlib import Path

FILE = "etc/machine-id"
_DIGITS = 12


def derived(purpose: str, root: Path = Path("/")) -> str:
    """12 hexadecimal digits, the same for as long as the machine's id is; of its name where it has none."""
    try:
        key = (root / FILE).read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        key = ""
    secret = key or socket.gethostname()
    return hmac.new(secret.encode(), purpose.encode(), hashlib.sha256).hexdigest()[:_DIGITS]
