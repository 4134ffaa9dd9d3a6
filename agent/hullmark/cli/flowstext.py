"""Declared flows as a table and as CSV."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hullmark.cli.table import table, width
from hullmark.evidence.story import Table
from hullmark.evidence.tables import csv_of
from hullmark.model.flows import Flow, FlowKind

HEADS = ("FROM", "SCOPE", "TO", "SCOPE", "PORTS", "WHY", "ACROSS HOSTS", "ENCRYPTED")
COLUMNS = (
    *(
        "From",
        "Scope",
        "To",
        "Scope of service",
        "Ports",
        "Protocol",
        "Ports of hosts",
        "Declared by",
    ),
    *("Networks", "Hosts of callers", "Hosts of service", "Across hosts", "Encrypted"),
    "Refused by policy of",
)
OUTSIDE = "outside"
OF_HOST = "programs of the host"
_WHY = {FlowKind.PUBLISHED: "published", FlowKind.HOST: "mode: host", FlowKind.USES: "uses"}


def as_table(flows: Sequence[Flow]) -> list[str]:
    """The last column only where policies refuse any."""
    rows = [_row(flow) for flow in flows]
    if not any(flow.refused_by for flow in flows):
        return table(HEADS, rows, width())
    refused = [(*row, ", ".join(flow.refused_by) or "-") for row, flow in zip(rows, flows)]
    return table((*HEADS, "REFUSED BY POLICY OF"), refused, width())


def as_csv(flows: Iterable[Flow]) -> str:
    """With a row of names first, in a form that spreadsheets take as text."""
    rows = tuple(
        (
            *(_caller(flow), flow.caller_scope, flow.service, flow.scope),
            *(_numbers(flow.ports), flow.protocol, _numbers(flow.published), flow.kind.value),
            *(", ".join(flow.networks), ", ".join(flow.caller_hosts)),
            *(", ".join(flow.service_hosts), "yes" if flow.across_hosts else "no"),
            flow.encrypted.value,
            ", ".join(flow.refused_by),
        )
        for flow in flows
    )
    return csv_of(Table("flows", "Declared flows", COLUMNS, rows)).decode()


def _row(flow: Flow) -> tuple[str, ...]:
    return (
        _caller(flow),
        flow.caller_scope or "-",
        flow.service,
        flow.scope,
        _ports(flow),
        f"network {', '.join(flow.networks)}" if flow.networks else _WHY[flow.kind],
        "yes" if flow.across_hosts else "no",
        flow.encrypted.value,
    )


def _caller(flow: Flow) -> str:
    return flow.caller or (OF_HOST if flow.local else OUTSIDE)


def _ports(flow: Flow) -> str:
    """`443->80/tcp`: of the host, of the service."""
    own = _numbers(flow.ports)
    published = _numbers(flow.published)
    return f"{f'{published}->' if published and published != own else ''}{own}/{flow.protocol}"


def _numbers(ports: Sequence[int]) -> str:
    return ", ".join(str(port) for port in ports)
