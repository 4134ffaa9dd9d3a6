"""The accepted orders on disk, in two equal copies; and, apart from them, what was held with them.

Each copy is a line with the SHA-256 of the rest, then one JSON object. Both are on the disk before anything acts on
the orders, so that either alone tells what was last acted on; after a crash between the two, the newer one has orders that were
accepted and not yet acted on. A damaged copy is written anew by the next acceptance. The third file has only the epoch, leader and
revision: orders that were lost are had again from the leader, but not from one that is older than they were.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, TypeVar

from hullmark.core.acceptance import Held
from hullmark.errors import BrokenState, InvalidInput
from hullmark.model import jsontext
from hullmark.model.orders import Orders
from hullmark.model.wire import canonical, from_wire, to_wire
from hullmark.pki.files import write_private

T = TypeVar("T")

NAMES = ("state-a.json", "state-b.json")
HELD = "held.json"
FORM = 1


@dataclass(frozen=True)
class Stored:
    """`damaged`: files that can't be trusted. `orders` None: there are none here. `held` None: neither is it
    known which were."""

    orders: Optional[Orders]
    damaged: tuple[str, ...] = ()
    held: Optional[Held] = None


def load(folder: Path) -> Stored:
    """Raises BrokenState where there are copies and none can be trusted, or one can't be read; and where there are none,
    and what was held can't be trusted."""
    damaged: list[str] = []
    found = [read_sealed(folder / name, "orders", Orders, damaged) for name in NAMES]
    copies = [one for one in found if one is not None]
    if damaged and not copies:
        raise BrokenState(
            f"accepted orders can't be read: {' and '.join(damaged)} damaged",
            remedy=f"check the disk; then move them away: mv {folder}/state-*.json /root/ "
            "and the agent asks the leader anew",
        )
    held = read_sealed(folder / HELD, "held", Held, damaged)
    if damaged and not copies:
        raise BrokenState(
            f"{folder / HELD} is damaged, so it is not known which leader may be obeyed",
            remedy="check that only the right master runs; then move it away: "
            f"mv {folder / HELD} /root/",
        )
    newest = max(copies, key=lambda one: (one.epoch, one.revision), default=None)
    return Stored(newest, tuple(damaged), held)


def save(folder: Path, orders: Orders) -> None:
    """All is on the disk when this returns. Raises OSError. What is held is written last, so that it is never
    ahead of the orders."""
    content = sealed("orders", orders)
    for name in NAMES:
        write_private(folder / name, content)
    held = Held(orders.cluster_id, orders.host_id, orders.epoch, orders.leader, orders.revision)
    write_private(folder / HELD, sealed("held", held))


def sealed(kind: str, value: object) -> bytes:
    """A value as `read_sealed` finds it whole, or not at all."""
    body = canonical({"form": FORM, kind: to_wire(value)})
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def read_sealed(path: Path, kind: str, cls: type[T], damaged: list[str]) -> Optional[T]:
    """None where there is none, or it can't be trusted, and then it is named in `damaged`."""
    try:
        return _parse(path.read_bytes(), kind, cls)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, InvalidInput):
        damaged.append(str(path))
        return None
    except OSError as error:
        raise BrokenState(f"{path}: {error.strerror}", remedy="check the disk") from error


def _parse(content: bytes, kind: str, cls: type[T]) -> T:
    checksum, _, body = content.partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != checksum:
        raise ValueError("the checksum does not fit")
    data = jsontext.loads(body)
    if data["form"] != FORM:
        raise ValueError("another form")
    return from_wire(cls, data[kind], ignore_unknown=True)
