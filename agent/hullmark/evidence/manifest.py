"""The manifest of a pack: every file with its SHA-256, and which audit logs are in it. Its own SHA-256 is what is signed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MANIFEST, SIGNATURE, CHAIN = "manifest.json", "signature.json", "chain.pem"
REPORT = "report.html"
APART = (MANIFEST, SIGNATURE, CHAIN)
"""Those that are not in the manifest: it itself, and what vouches for it."""
FORM = "hullmark.evidence-pack/1"
MANIFEST_MAX_BYTES = 64 << 20
SMALL_MAX_BYTES = 64 << 10


@dataclass(frozen=True)
class FileEntry:
    """`stored_sha256` is of its bytes as they stand in the zip file, packed or not."""

    size: int
    sha256: str
    stored_sha256: str


@dataclass(frozen=True)
class LogEntry:
    """One audit log's part in the pack, from record `first` to `last`, in `file`."""

    log: str
    of: str
    file: str
    first: int
    last: int
    last_hash: str


@dataclass(frozen=True)
class Manifest:
    """`heads`: files with entries of masters' files of heads. Times in seconds since 1970."""

    of: str
    framework: str
    begins: float
    ends: float
    made_at: float
    made_by: str
    version: str
    files: Mapping[str, FileEntry] = field(default_factory=dict)
    logs: tuple[LogEntry, ...] = ()
    heads: tuple[str, ...] = ()
    form: str = FORM
