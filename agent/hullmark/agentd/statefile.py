"""The accepted orders on disk, in two equal copies.

Each copy is a line with the SHA-256 of the rest, then one JSON object. Both are on the disk before anything acts on
the orders, so that either alone tells what was last acted on; after a crash between the two, the newer one has orders that were
accepted and not yet acted on. A damaged copy is written anew by the next acceptance.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from hullmark.agentd.files import replace_file
from hullmark.errors import BrokenState, InvalidInput
from hullmark.model.orders import Orders
from hullmark.model.wire import canonical, from_wire, to_wire

NAMES = ("state-a.json", "state-b.json")
FORM = 1


@dataclass(frozen=True)
class Stored:
    """`damaged`: files that can't be trusted. `orders` None: nothing was ever accepted."""

    orders: Optional[Orders]
    damaged: tuple[str, ...] = ()


def load(folder: Path) -> Stored:
    """Raises BrokenState where there are copies and none can be trusted, or one can't be read."""
    found: list[Orders] = []
    damaged: list[str] = []
    for name in NAMES:
        path = folder / name
        try:
            found.append(_parse(path.read_bytes()))
        except FileNotFoundError:
            continue
        except (ValueError, KeyError, TypeError, InvalidInput, RecursionError):
            damaged.append(str(path))
        except OSError as error:
            raise BrokenState(f"{path}: {error.strerror}", remedy="check the disk") from error
    if damaged and not found:
        raise BrokenState(
            f"accepted orders can't be read: {' and '.join(damaged)} damaged",
            remedy=f"check the disk; then move them away: mv {folder}/state-*.json /root/ "
            "and the agent asks the leader anew",
        )
    newest = max(found, key=lambda one: (one.epoch, one.revision), default=None)
    return Stored(newest, tuple(damaged))


def save(folder: Path, orders: Orders) -> None:
    """Both copies are on the disk when this returns. Raises OSError."""
    body = canonical({"form": FORM, "orders": to_wire(orders)})
    content = hashlib.sha256(body).hexdigest().encode() + b"\n" + body
    for name in NAMES:
        replace_file(folder / name, content)


def _parse(content: bytes) -> Orders:
    checksum, _, body = content.partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != checksum:
        raise ValueError("the checksum does not fit")
    data = json.loads(body)
    if data["form"] != FORM:
        raise ValueError("another form")
    return from_wire(Orders, data["orders"], ignore_unknown=True)
