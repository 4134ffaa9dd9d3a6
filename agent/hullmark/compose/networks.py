"""Networks and volumes of an app, and a service's places on its networks."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping
from typing import Optional

from hullmark.compose import forms, values
from hullmark.compose.dangers import warn_volume
from hullmark.compose.findings import Node
from hullmark.compose.judging import judge
from hullmark.compose.variables import read_pairs
from hullmark.document import MapValue
from hullmark.model import names
from hullmark.model.app import Attachment, Network, Volume

DEFAULT = "default"


def read_networks(top: Node, app: str) -> dict[str, Network]:
    """The declared networks; a wrong one stands there too, so that it counts as known."""
    return {name: _network(node, name, app) for name, node in _declared(top, "networks").items()}


def read_volumes(top: Node, app: str) -> dict[str, Volume]:
    """As `read_networks`."""
    found = {}
    for name, node in _declared(top, "volumes").items():
        found[name] = _volume(node, name, app)
        warn_volume(node, found[name])
    return found


def read_places(service: Node, networks: Mapping[str, Network]) -> tuple[Attachment, ...]:
    """Where the service stands, the place of highest priority first; `default` where it says nothing."""
    listed = service.get("networks")
    if listed is None:
        return (Attachment(DEFAULT),)
    found: dict[str, tuple[float, Attachment]] = {}
    if isinstance(listed.value, MapValue):
        for name, node in listed.entries().items():
            if _is_known(node, name, networks):
                found[name] = _place(node, name, networks.get(name))
    else:
        for node in listed.items("a list or a mapping of networks"):
            name = node.read(values.text(forms.KEY), "")
            if name and _is_known(node, name, networks):
                found[name] = (0.0, Attachment(name))
    # An empty list means the same as none: a container without networks has network_mode `none`.
    places = sorted(found.values(), key=lambda each: -each[0])
    return tuple(place for _, place in places) or (Attachment(DEFAULT),)


def address_problem(address: str, network: Optional[Network]) -> str:
    """Why a container can't have this IPv4 address on the network; empty where it can."""
    if not forms.IPV4.holds(address) or network is None or network.external:
        return ""
    if not forms.SUBNET.holds(network.subnet):
        return "a fixed address needs a network with a subnet (ipam.config)"
    if not _is_host(address, network.subnet):
        return f"not an address for containers in {network.subnet}"
    return "the address of the network's gateway" if address == network.gateway else ""


def gateway_problem(network: Network) -> str:
    """Why the network can't have its gateway; empty where it can, or has none."""
    if not network.gateway or not forms.IPV4.holds(network.gateway):
        return ""
    if not forms.SUBNET.holds(network.subnet):
        return "a gateway needs a subnet"
    if not _is_host(network.gateway, network.subnet):
        return f"not an address in {network.subnet}"
    return ""


def _is_host(address: str, subnet: str) -> bool:
    network, host = ipaddress.IPv4Network(subnet), ipaddress.IPv4Address(address)
    return host in network and host not in (network.network_address, network.broadcast_address)


def _declared(top: Node, kind: str) -> Mapping[str, Node]:
    declared = top.get(kind)
    found = {}
    for name, node in (declared.entries() if declared is not None else {}).items():
        if forms.KEY.holds(name):
            found[name] = node
        else:
            node.wrong("not a name that fits here", forms.KEY.allowed)
    return found


def _is_known(node: Node, name: str, networks: Collection[str]) -> bool:
    if name == DEFAULT or name in networks:
        return True
    node.missing("network", name, {DEFAULT, *networks})
    return False


def _place(node: Node, name: str, network: Optional[Network]) -> tuple[float, Attachment]:
    """(priority, place)"""
    if node.value is None or not judge(node, "services.*.networks.*"):
        return 0.0, Attachment(name)
    address = node.field_of("ipv4_address", values.text(forms.IPV4), "")
    problem = address_problem(address, network or Network())
    if problem:
        node.child("ipv4_address").wrong(problem)
    place = Attachment(
        name,
        node.list_of("aliases", values.text(forms.HOST)),
        address,
        node.field_of("ipv6_address", values.text(forms.IPV6), ""),
        node.field_of("mac_address", values.text(forms.MAC), ""),
    )
    return node.field_of("priority", values.number(forms.PRIORITY), 0.0), place


def _network(node: Node, name: str, app: str) -> Network:
    if node.value is None or not judge(node, "networks.*", done=("name",)):
        return Network()
    external = _external(node, name, forms.NETWORK_NAME)
    if external:
        return Network(external=external)
    given = node.get("name")
    if given is not None and given.value != names.engine_name(app, name):
        given.warn(f"ignored: this network is called {names.engine_name(app, name)}")
    if not node.field_of("enable_ipv4", values.boolean, True):
        node.child("enable_ipv4").wrong("networks without IPv4 are not supported", "true")
    node.field_of("driver", values.choice("bridge", "default"), "")
    subnet, gateway = _addresses(node)
    return Network(
        node.field_of("internal", values.boolean, False),
        subnet,
        gateway,
        read_pairs(node.get("labels"), forms.LABEL),
        read_pairs(node.get("driver_opts"), forms.WORD),
        node.field_of("enable_ipv6", values.boolean, False),
    )


def _addresses(node: Node) -> tuple[str, str]:
    ipam = node.get("ipam")
    if ipam is None or not judge(ipam, "networks.*.ipam"):
        return "", ""
    ipam.field_of("driver", values.choice("default"), "")
    listed = ipam.get("config")
    entries = listed.items() if listed is not None else ()
    if not entries:
        return "", ""
    if len(entries) > 1:
        entries[1].wrong("a second range of addresses", "one, of IPv4")
    first = entries[0]
    if not judge(first, "networks.*.ipam.config[]"):
        return "", ""
    subnet = first.field_of("subnet", values.text(forms.SUBNET), "")
    gateway = first.field_of("gateway", values.text(forms.IPV4), "")
    problem = gateway_problem(Network(subnet=subnet, gateway=gateway))
    if problem:
        first.child("gateway").wrong(problem)
    return subnet, gateway


def _volume(node: Node, name: str, app: str) -> Volume:
    if node.value is None or not judge(node, "volumes.*", done=("name",)):
        return Volume()
    external = _external(node, name, forms.ENGINE_NAME)
    if external:
        return Volume(external=external)
    given = node.get("name")
    if given is not None and given.value != names.engine_name(app, name):
        given.wrong(
            f"is not supported: this volume is called {names.engine_name(app, name)};"
            " for one that exists already, set `external: true` beside its name"
        )
    return Volume(
        node.field_of("driver", values.text(forms.DRIVER), ""),
        read_pairs(node.get("driver_opts"), forms.WORD),
        read_pairs(node.get("labels"), forms.LABEL),
    )


def _external(node: Node, name: str, form: forms.Form) -> str:
    """The engine's name of an external network or volume, empty for one of the app's own."""
    given = node.get("external")
    if given is None:
        return ""
    if isinstance(given.value, MapValue):
        named = given.get("name")
    elif given.read(values.boolean, False):
        named = node.get("name")
    else:
        return ""
    for other in node.value:
        if other not in ("external", "name") and node.has(other) and not other.startswith("x-"):
            node.child(other).wrong("has no meaning for what exists already", "external and name")
    if named is not None:
        return named.read(values.text(form), name)
    if not form.holds(name):
        node.wrong(f"{name} does not fit here as a name", form.allowed)
    return name
