"""From a project to the app of the model: every service, with all that it uses."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hullmark.compose import forms, values
from hullmark.compose.check import check
from hullmark.compose.containers import read_container, refuse_shared_targets
from hullmark.compose.dangers import warn_container
from hullmark.compose.dependencies import awaited, read_dependencies, read_links, refuse_hopeless
from hullmark.compose.deploy import read_deploy, read_required
from hullmark.compose.files import Shelf, read_references, read_secrets
from hullmark.compose.findings import OWN, Findings, Node, located, root
from hullmark.compose.judging import judge
from hullmark.compose.localdata import warn_crowding, warn_local_data
from hullmark.compose.mounts import Mounts
from hullmark.compose.networks import DEFAULT, read_networks, read_places, read_volumes
from hullmark.compose.ports import on_the_host, read_expose, read_ports
from hullmark.compose.project import Project
from hullmark.compose.serving import read_serving, warn_serving
from hullmark.compose.sharedports import shared_ports
from hullmark.compose.takennames import warn_names
from hullmark.compose.variables import Variables
from hullmark.document import MapValue
from hullmark.errors import InvalidInput, Problem
from hullmark.model.app import (
    App,
    Attachment,
    ContainerSpec,
    Dependency,
    Network,
    PortSpec,
    Secret,
    Service,
    Volume,
)

NO_IMAGE = "[REGISTRY/]NAME[:TAG]"


@dataclass(frozen=True)
class Loaded:
    """`warnings` are lines of the form `FILE:LINE: field: message`. `notes` are those of them that tell what
    happens, and ask for nothing. `clashes`: published ports that no host could answer for both services. An app that has them from an older version
    may still be changed, so a master refuses only those that are new. `document` is what the app was made of, for `placed`."""

    app: App
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    clashes: tuple[Problem, ...] = ()
    document: MapValue = dataclasses.field(
        default_factory=lambda: MapValue("", 0), compare=False, repr=False
    )

    def placed(self, problem: Problem) -> Problem:
        """With file and line, where it is one of a value of the app that the files have: a master knows fields only."""
        if problem.file or problem.field.partition(".")[0] not in self.document:
            return problem
        return located(root(self.document, Findings()), problem)


def build_app(project: Project, images: Mapping[str, str]) -> Loaded:
    """`images` (by service) win over the file. Raises InvalidInput with every problem found."""
    findings = Findings(warnings=list(project.warnings))
    top = root(project.document, findings)
    judge(top, "")
    builder = _Builder(project, top, images)
    app = builder.build()
    if not findings.problems:
        # What only shows in the whole: the same that a master checks.
        findings.problems += [located(top, problem) for problem in check(app)]
    problems = tuple(findings.problems)  # what is read again for the clashes is found wrong again
    clashes = tuple(shared_ports(builder.nodes, app.services))
    if problems:
        raise InvalidInput([*problems, *clashes])
    return Loaded(
        app,
        tuple(dict.fromkeys(findings.warnings)),
        tuple(dict.fromkeys(findings.notes)),
        clashes,
        project.document,
    )


class _Builder:
    """Holds what the services of one project share while they are read."""

    def __init__(self, project: Project, top: Node, images: Mapping[str, str]) -> None:
        self._project = project
        self._top = top
        self._images = images
        self._shelf = Shelf(project, top)
        self._variables = Variables(project)
        self._secrets: Mapping[str, Secret] = read_secrets(top)
        self._networks: dict[str, Network] = read_networks(top, project.name)
        self._volumes: dict[str, Volume] = read_volumes(top, project.name)
        self._mounts = Mounts(self._shelf, self._volumes)
        own = top.get(OWN)
        self.nodes: Mapping[str, Node] = {}
        self._required = tuple(read_required(own)) if own is not None and judge(own, OWN) else ()

    def build(self) -> App:
        self.nodes = nodes = self._nodes()
        dependencies = read_dependencies(nodes)
        waited_for = awaited(dependencies.values())
        services = {
            name: self._service(node, name, dependencies[name], name in waited_for)
            for name, node in nodes.items()
        }
        _link(nodes, services)
        warn_names(nodes, services, self._project.name)
        refuse_hopeless(nodes, services)
        used = {place.network for each in services.values() for place in each.container.networks}
        if DEFAULT in used:
            self._networks.setdefault(DEFAULT, Network())
        return App(
            self._project.name,
            services,
            self._networks,
            self._volumes,
            self._shelf.configs,
            self._secrets,
        )

    def _nodes(self) -> Mapping[str, Node]:
        """The services that are mappings, their keys judged."""
        listed = self._top.get("services")
        found = listed.entries() if listed is not None else {}
        if listed is None or (not found and isinstance(listed.value, MapValue)):
            self._top.wrong("no services", "at least one, under `services`")
        for name in sorted(set(self._images) - set(found)):
            self._top.findings.problems.append(
                Problem(
                    f"there is no service {name}",
                    field="--image",
                    allowed=", ".join(found) or "none",
                )
            )
        nodes = {}
        for name, node in found.items():
            if not forms.SERVICE_NAME.holds(name):
                node.wrong("not a name that fits here", forms.SERVICE_NAME.allowed)
            elif judge(node, "services.*", done=("build", "links")):
                nodes[name] = node
        return nodes

    def _service(
        self, node: Node, name: str, depends_on: Sequence[Dependency], waited_for: bool
    ) -> Service:
        spec = read_container(node, self._image(node, name), waited_for)
        mounts = self._mounts.read(node)
        networks = self._places(node, spec)
        declared = read_references(node, "configs", self._shelf.names)
        spec = dataclasses.replace(
            spec,
            environment=self._variables.read(node),
            expose=read_expose(node),
            mounts=tuple(mounts.mounts),
            configs=(*declared, *mounts.shipped),
            secrets=read_references(node, "secrets", self._secrets),
            networks=networks,
        )
        refuse_shared_targets(node, spec)
        warn_container(node, spec)
        deploy = read_deploy(node, self._required)
        warn_local_data(node, spec, deploy, self._volumes)
        if deploy.replicas > 1 and any(
            place.ipv4_address or place.ipv6_address for place in networks
        ):
            node.child("networks").warn(
                "a fixed address is for one instance on each host:"
                " see deploy.placement.max_replicas_per_node"
            )
        ports = self._ports(node, spec)
        warn_crowding(node, spec, deploy, ports)
        serving = read_serving(node, self._project.name)
        warn_serving(node, ports, serving)
        return Service(
            spec,
            deploy,
            ports,
            tuple(depends_on),
            uses=serving.uses,
            ingress=serving.ingress,
            client_address=serving.client_address,
            drain_s=serving.drain_s,
        )

    def _image(self, node: Node, name: str) -> str:
        given = self._images.get(name)
        if given is not None:
            if not forms.IMAGE.holds(given):
                node.wrong(f"--image {name}={given[:80]} names no image", forms.IMAGE.allowed)
            return given
        if node.has("build"):
            node.child("build").wrong(
                "is not supported: Hullmark builds no images",
                f"build it, push it, and pass --image {name}=[REGISTRY/]NAME[:TAG]",
            )
            return ""
        image = node.get("image")
        if image is None:
            node.wrong("names no image", f"image: {NO_IMAGE}")
            return ""
        text = image.value if isinstance(image.value, str) else ""
        if not forms.IMAGE.holds(text):
            image.unfit(forms.IMAGE.allowed)
        return text

    def _places(self, node: Node, spec: ContainerSpec) -> tuple[Attachment, ...]:
        address = node.field_of("mac_address", values.text(forms.MAC), "")
        if spec.network_mode:
            for name in ("networks", "mac_address", "links"):
                if node.has(name):
                    node.child(name).wrong(f"has no meaning with network_mode {spec.network_mode}")
            return ()
        places = read_places(node, self._networks)
        if address and places and not places[0].mac_address:
            places = (dataclasses.replace(places[0], mac_address=address), *places[1:])
        return places

    def _ports(self, node: Node, spec: ContainerSpec) -> tuple[PortSpec, ...]:
        ports = read_ports(node, on_host=spec.network_mode == "host")
        if not ports or spec.network_mode not in ("host", "none"):
            return ports
        place = node.child("ports")
        if spec.network_mode == "none":
            place.wrong("with network_mode none nothing can be published")
            return ()
        own = on_the_host(ports)
        if own != ports:
            place.warn("with network_mode host the container's own ports are the host's")
        return own


def _link(nodes: Mapping[str, Node], services: dict[str, Service]) -> None:
    """An alias of a link becomes an alias of the linked service on the networks that both are on."""
    for name, node in nodes.items():
        for link in read_links(node):
            if link.service not in services:
                link.node.missing("service", link.service, services)
                continue
            here = {place.network for place in services[name].container.networks}
            there = services[link.service]
            places = there.container.networks
            shared = here.intersection(place.network for place in places)
            if not shared or not forms.HOST.holds(link.alias):
                link.node.wrong(
                    "a link needs a network that both services are on, and a name of a host"
                )
                continue
            if link.alias == link.service:
                link.node.note(f"needless: {link.service} is reached by its name anyhow")
                continue
            link.node.note(
                f"{link.alias} becomes a name of {link.service} for all on {', '.join(sorted(shared))}"
            )
            container = dataclasses.replace(
                there.container,
                networks=tuple(_also(place, link.alias, shared) for place in places),
            )
            services[link.service] = dataclasses.replace(there, container=container)


def _also(place: Attachment, alias: str, networks: set[str]) -> Attachment:
    if place.network not in networks or alias in place.aliases:
        return place
    return dataclasses.replace(place, aliases=(*place.aliases, alias))
