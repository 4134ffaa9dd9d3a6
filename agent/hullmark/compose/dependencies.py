"""`depends_on` and `links`: who waits for whom, and that nobody waits for himself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hullmark.compose import forms, values
from hullmark.compose.findings import Node
from hullmark.compose.judging import judge
from hullmark.document import MapValue
from hullmark.model.app import Dependency, DependencyCondition, Service


@dataclass(frozen=True)
class Link:
    """`service` is to be reached as `alias` too."""

    node: Node
    service: str
    alias: str


def read_dependencies(services: Mapping[str, Node]) -> dict[str, tuple[Dependency, ...]]:
    """By service. A link is a dependency as well."""
    found = {}
    for name, node in services.items():
        own = {each.service: each for each in _own(node, services)}
        for link in read_links(node):
            if link.service in services:
                own.setdefault(link.service, Dependency(link.service))
        found[name] = tuple(own.values())
    round_trip = circle({name: [each.service for each in own] for name, own in found.items()})
    if round_trip:
        first = services[round_trip[0]]
        place = first.get("depends_on") or first
        place.wrong(f"a circle: {' -> '.join((*round_trip, round_trip[0]))}")
    return found


def refuse_hopeless(nodes: Mapping[str, Node], services: Mapping[str, Service]) -> None:
    """A service whose health check is off never becomes healthy."""
    for name, service in services.items():
        for each in service.depends_on:
            needed = services.get(each.service)
            check = needed.container.healthcheck if needed is not None else None
            if check and check.disabled and each.condition is DependencyCondition.HEALTHY:
                place = nodes[name].get("depends_on") or nodes[name]
                place.wrong(
                    f"{each.service} has its health check switched off: it never is healthy"
                )


def awaited(dependencies: Iterable[Sequence[Dependency]]) -> set[str]:
    """The services whose completion another one waits for."""
    return {
        each.service
        for own in dependencies
        for each in own
        if each.condition is DependencyCondition.COMPLETED
    }


def read_links(service: Node) -> list[Link]:
    listed = service.get("links")
    found = []
    for item in listed.items() if listed is not None else ():
        name, alias, _ = values.pairs(item.read(values.scalar, ""), (":",))
        found.append(Link(item, name, alias or name))
    return found


def circle(edges: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The names of one circle in their order; empty where there is none."""
    waits = {name: {each for each in targets if each in edges} for name, targets in edges.items()}
    wanted_by: dict[str, list[str]] = {name: [] for name in edges}
    for name, targets in waits.items():
        for each in targets:
            wanted_by[each].append(name)
    left = dict(waits)
    free = [name for name, targets in waits.items() if not targets]
    while free:
        name = free.pop()
        del left[name]
        for other in wanted_by[name]:
            waits[other].discard(name)
            if not waits[other]:
                free.append(other)
    path: list[str] = []
    name = min(left, default="")
    while left and name not in path:
        path.append(name)
        name = min(left[name])
    return tuple(path[path.index(name) :]) if path else ()


def _own(service: Node, services: Mapping[str, Node]) -> list[Dependency]:
    listed = service.get("depends_on")
    if listed is None:
        return []
    found = []
    if isinstance(listed.value, MapValue):
        for name, node in listed.entries().items():
            found.append((node, _long(node, name)))
    else:
        for node in listed.items("a list or a mapping of services"):
            found.append((node, Dependency(node.read(values.text(forms.SERVICE_NAME), ""))))
    for node, dependency in found:
        if dependency.service and dependency.service not in services and dependency.required:
            node.missing("service", dependency.service, services, "or `required: false`")
    return [dependency for _, dependency in found if forms.SERVICE_NAME.holds(dependency.service)]


def _long(node: Node, name: str) -> Dependency:
    if node.value is None or not judge(node, "services.*.depends_on.*"):
        return Dependency(name)
    conditions = values.choice(*(each.value for each in DependencyCondition))
    return Dependency(
        name,
        DependencyCondition(node.field_of("condition", conditions, "service_started")),
        node.field_of("required", values.boolean, True),
    )
