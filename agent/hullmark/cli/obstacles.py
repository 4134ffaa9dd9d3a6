"""Why instances are nowhere, filter by filter: how many hosts each one rules out, and which comes closest.

30 hosts:  18 constraint node.labels.scope == cde
            9 memory: need 2 GiB (web7, free 1.4 GiB)
            2 port 80/tcp taken by edge/lb (web1 by edge/lb.1)
            1 web3: in maintenance, 40 min left
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from hullmark.cli.table import wrapped
from hullmark.cli.words import count, one_line
from hullmark.model.explanation import Refusal, SlotExplanation


def obstacle_lines(refusals: Sequence[Refusal], columns: int) -> Iterator[str]:
    if len(refusals) == 1:
        (only,) = refusals
        who = "host" if len(only.hosts) == 1 else f"{len(only.hosts)} hosts:"
        yield from wrapped(f"{who} {obstacle(only)}", columns, "")
        return
    total = sum(len(refusal.hosts) for refusal in refusals)
    head = f"{count(total, 'host')}:  "
    for refusal in refusals:
        number = f"{len(refusal.hosts):>{len(str(total))}} "
        first, *rest = wrapped(obstacle(refusal), columns, " " * len(head + number)) or [""]
        yield (head + number + first.strip()).rstrip()
        yield from rest
        head = " " * len(head)


def obstacle(refusal: Refusal) -> str:
    """One line: of a single host with its name first, of several with the nearest one as the example."""
    hosts, nearest = refusal.hosts, one_line(refusal.nearest)
    if len(hosts) == 1:
        detail = nearest[len(hosts[0]) :] if nearest.startswith(hosts[0]) else ""
        return f"{hosts[0]}: {refusal.text}{detail}"
    by = f" by {refusal.party}" if refusal.party else ""
    example = f" ({nearest})" if nearest and nearest not in hosts else ""
    return f"{refusal.text}{by}{example}"


def alike(slots: Iterable[SlotExplanation]) -> Sequence[Sequence[SlotExplanation]]:
    """Together what is of one service and lacks the same."""
    found: dict[object, list[SlotExplanation]] = {}
    for slot in slots:
        service = slot.name.rpartition(".")[0] if slot.slot else slot.name
        key = service, slot.host, slot.why, slot.refusals, slot.nearest, slot.commands
        found.setdefault(key, []).append(slot)
    return tuple(found.values())


def slot_names(slots: Sequence[int]) -> str:
    """`slot 4`, `slots 4, 5 and 7`, `slots 1 to 300`."""
    if len(slots) == 1:
        return f"slot {slots[0]}"
    if len(slots) > 2 and list(slots) == list(range(slots[0], slots[-1] + 1)):
        return f"slots {slots[0]} to {slots[-1]}"
    listed = [str(slot) for slot in slots]
    return f"slots {', '.join(listed[:-1])} and {listed[-1]}"
