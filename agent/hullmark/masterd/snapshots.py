"""Snapshots: all that the store holds at one revision, as a signed file (`model/snapshotfile.py`)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Callable

import hullmark
from hullmark.errors import BrokenState
from hullmark.masterd.events import Tell
from hullmark.masterd.term import Term
from hullmark.model import snapshotfile
from hullmark.model.change import Change
from hullmark.model.snapshotfile import End, Head, Item
from hullmark.pki import statements
from hullmark.pki.authority import Authority
from hullmark.store.protocol import Entry, Listing

PIECE_BYTES = 256 << 10


@dataclass(frozen=True)
class Saved:
    """A snapshot that is about to be sent. `pieces` are the bytes of its file."""

    head: Head
    count: int
    pieces: Iterator[bytes]


class Snapshots:
    def __init__(self, term: Term, tell: Tell, wall: Callable[[], float]) -> None:
        self._term = term
        self._tell = tell
        self._wall = wall

    async def take(self, authority: Authority, change: Change) -> Saved:
        """Everything as it stands at one revision, whatever is changed meanwhile. Raises StoreUnavailable, StaleEpoch where
        this master does not lead, BrokenState for a value that is no text."""
        listing = await self._term.listing()
        record = self._term.leadership.record
        cluster = self._term.view.cluster
        assert cluster is not None
        head = Head(
            cluster.cluster_id,
            record.epoch,
            listing.revision,
            self._wall(),
            record.master,
            hullmark.__version__,
            change.by,
            snapshotfile.FORMAT,
        )
        kept = _kept(listing)
        self._tell(
            "snapshot.saved",
            "the cluster",
            change,
            {"revision": str(listing.revision), "entries": str(len(kept))},
        )
        return Saved(head, len(kept), pieces(head, kept, authority))


def _kept(listing: Listing) -> list[Entry]:
    return sorted(
        (entry for entry in listing.entries if snapshotfile.is_kept(entry.key)),
        key=lambda entry: entry.key,
    )


def pieces(head: Head, entries: Sequence[Entry], authority: Authority) -> Iterator[bytes]:
    """The file, in parts of some size, signed at its end by the authority's intermediate."""
    sha256 = hashlib.sha256()
    piece = bytearray(snapshotfile.line(head))
    for entry in entries:
        piece += snapshotfile.line(Item(entry.key, _text(entry)))
        if len(piece) >= PIECE_BYTES:
            sha256.update(piece)
            yield bytes(piece)
            piece.clear()
    sha256.update(piece)
    end = End(len(entries), sha256.hexdigest(), statements.ALGORITHM)
    end = replace(
        end,
        signature=statements.sign(authority, end.signed()),
        chain_pem=statements.signer_chain(authority),
    )
    yield bytes(piece) + snapshotfile.line(end)


def _text(entry: Entry) -> str:
    try:
        return entry.value.decode()
    except UnicodeDecodeError as error:
        raise BrokenState(f"the store's {entry.key} is no text, so it is damaged") from error
