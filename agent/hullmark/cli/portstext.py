"""The ledger of ports as a table and as CSV."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hullmark.cli.table import table, width
from hullmark.cli.words import age
from hullmark.evidence import tables
from hullmark.model.ports import Holder, PortView

HEADS = ("HOST", "PORT", "ADDRESS", "BELONGS TO", "LISTENS", "ALLOWED", "STATE")
EVERY = "*"
_WORDS = {
    Holder.REMOVING: ", which is being removed",
    Holder.ORPHAN: ", an orphan",
    Holder.SERVICE: ", published",
}


def as_table(ports: Sequence[PortView]) -> list[str]:
    return table(HEADS, [_row(port) for port in ports], width())


def as_csv(ports: Iterable[PortView]) -> str:
    """With a row of names first, in a form that spreadsheets take as text."""
    return tables.csv_of(tables.ports(ports)).decode()


def _row(port: PortView) -> tuple[str, ...]:
    return (
        port.host,
        f"{port.port}/{port.protocol}",
        port.address or EVERY,
        _belongs(port),
        _listens(port),
        "-" if port.allowed is None else "yes" if port.allowed else "no",
        _state(port),
    )


def _state(port: PortView) -> str:
    """With when it was so, where its host is not heard now."""
    if port.host_state == "ready":
        return port.state.value
    ago = "" if port.told_s is None else f" as of {age(port.told_s)} ago"
    return f"{port.state.value}{ago}, host {port.host_state}"


def _belongs(port: PortView) -> str:
    if port.kind is Holder.PROCESS:
        return f"{port.holder}, of the host" if port.holder else "a process of the host"
    if port.kind is Holder.MASTER:
        return f"master {port.holder}"
    if port.kind is Holder.PROXY:
        return "hullmark-proxy"
    target = f" ({port.target})" if port.target else ""
    return f"{port.holder}{_WORDS.get(port.kind, '')}{target}"


def _listens(port: PortView) -> str:
    """What does; where it is not what was declared, the state says so."""
    if port.by:
        return port.by
    return "?" if port.listening is None else "yes" if port.listening else "no"
