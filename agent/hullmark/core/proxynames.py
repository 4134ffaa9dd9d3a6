"""What may be written into a proxy's configuration. Names and addresses come from other machines and from people's files: whatever isn't plainly a name, an
address or a port is not written, so that none of them can hold a line, a word or a quote of its own."""

from __future__ import annotations

import ipaddress
import re
from typing import Callable, Union

from hullmark.model.directory import OtherEntry, Peer, ServiceEntry, ServiceName
from hullmark.model.names import APP_NAME, SERVICE_NAME

_HOST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_CONTAINER_ID = re.compile(r"[A-Za-z0-9]{1,128}")
# Kernel: any byte but / and white space, below 16 in all (net/core/dev.c, dev_valid_name). Engines use these.
_INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")


def is_name(name: ServiceName) -> bool:
    return bool(APP_NAME.fullmatch(name.app) and SERVICE_NAME.fullmatch(name.service))


def is_sound(entry: Union[ServiceEntry, OtherEntry]) -> bool:
    """One with a port that is none is left out as a whole: what is meant isn't known."""
    return is_name(entry.name) and is_ipv4(entry.address) and all(map(is_port, entry.ports))


def is_peer(peer: Peer) -> bool:
    return is_host_id(peer.host_id) and is_address(peer.address) and is_port(peer.port)


def is_host_id(text: str) -> bool:
    return bool(_HOST_ID.fullmatch(text))


def is_container_id(text: str) -> bool:
    return bool(_CONTAINER_ID.fullmatch(text))


def is_interface(text: str) -> bool:
    return bool(_INTERFACE.fullmatch(text))


def is_port(port: int) -> bool:
    return 0 < port < 65536


def is_ipv4(text: str) -> bool:
    try:
        return str(ipaddress.IPv4Address(text)) == text
    except ValueError:
        return False


def is_subnet(text: str) -> bool:
    """Of IPv4."""
    try:
        return str(ipaddress.IPv4Network(text)) == text
    except ValueError:
        return False


def within(range_: str) -> Callable[[str], bool]:
    """Whether something is an address of this range of IPv4; nothing is of one that is none."""
    try:
        network = ipaddress.IPv4Network(range_)
    except ValueError:
        return lambda text: False
    return lambda text: is_ipv4(text) and ipaddress.IPv4Address(text) in network


def is_address(text: str) -> bool:
    """Of IPv4 or IPv6, without a zone."""
    try:
        return str(ipaddress.ip_address(text)) == text.lower() and "%" not in text
    except ValueError:
        return False
