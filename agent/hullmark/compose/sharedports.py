"""Published ports that two services of one app ask for on the same hosts, where proxies can answer only one of them.

With `x-hullmark.ingress` two services may share a port on different hosts. Which hosts those are only a master knows, so what is found here is what clashes
wherever it is answered: the hosts of one service are all among those of the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hullmark.compose.findings import Node
from hullmark.compose.ports import entry_ports
from hullmark.document import problem_at
from hullmark.errors import Problem
from hullmark.model.app import EVERY_ADDRESS, PortMode, PortSpec, Service

ALLOWED = "another published port, or x-hullmark.ingress with other hosts"


def shared_ports(nodes: Mapping[str, Node], services: Mapping[str, Service]) -> Iterator[Problem]:
    """One for each port of a service and the first other one before it that is in its way, where the later one asks for it."""
    before: dict[int, list[tuple[str, PortSpec]]] = {}
    for name, node in nodes.items():
        listed = node.get("ports")
        own = set(filter(_is_answered, services[name].ports))
        for item in listed.items() if own and listed is not None else ():
            for port in own.intersection(entry_ports(item)):
                for other, taken in before.get(port.published_first, ()):
                    if _meet(port, taken) and _same_hosts(services[name], services[other]):
                        text = f"port {port.published_first}/tcp is published by {other}, too"
                        yield problem_at(item.holder, item.key, item.field, text, ALLOWED)
                        break
        for port in own:
            before.setdefault(port.published_first, []).append((name, port))


def _is_answered(port: PortSpec) -> bool:
    """By proxies; of a range they answer the first."""
    return port.mode is PortMode.INGRESS and port.protocol == "tcp" and port.published_first > 0


def _meet(one: PortSpec, other: PortSpec) -> bool:
    anywhere = one.host_ip in EVERY_ADDRESS or other.host_ip in EVERY_ADDRESS
    return anywhere or one.host_ip == other.host_ip


def _same_hosts(one: Service, other: Service) -> bool:
    """Whether each host that answers the one of them with more constraints answers the other, too."""
    mine, theirs = set(one.ingress), set(other.ingress)
    return mine <= theirs or theirs <= mine
