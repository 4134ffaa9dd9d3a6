"""Ports that the engine binds beside service addresses that the proxy has: on a host's own addresses, so that neither is in the other's way."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from hullmark.agentd.worker import NO_SUCH_ADDRESS
from hullmark.errors import HullmarkError
from hullmark.model.app import ContainerSpec
from hullmark.model.orders import PublishedPort
from tests.integration.shipyard import IMAGE, Yard, request_for, single

PORT = PublishedPort(8080, 18081)
SERVICE_ADDRESS = "127.0.0.99"
"""Any address of the loopback device will do."""
SERVING = ContainerSpec(IMAGE, command=("httpd", "-f", "-p", "8080"), network_mode="bridge")


@contextmanager
def listening(address: str, port: int) -> Iterator[None]:
    """As a proxy does: on one device only."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
        listener.bind((address, port))
        listener.listen()
        yield


def test_a_port_that_names_no_address_is_bound_on_the_hosts_own(yard: Yard) -> None:
    made = single("shop", SERVING)
    with listening(SERVICE_ADDRESS, PORT.published):
        everywhere = yard.create(made, (PORT,))
        with pytest.raises(HullmarkError):
            yard.engine.start(everywhere)
        yard.engine.remove(everywhere)
        request = replace(request_for(made, (PORT,)), addresses=("127.0.0.2", "127.0.0.1"))
        container_id = yard.engine.create(request)
        yard.engine.start(container_id)
        assert yard.engine.container(container_id).ports == (PORT,)
        for address in request.addresses:
            socket.create_connection((address, PORT.published), 5).close()


def test_an_address_that_the_host_has_no_more_is_told_so(yard: Yard) -> None:
    request = replace(
        request_for(single("shop", SERVING), (PORT,)), addresses=("192.0.2.77", "127.0.0.1")
    )
    container_id = yard.engine.create(request)
    with pytest.raises(HullmarkError, match=NO_SUCH_ADDRESS):
        yard.engine.start(container_id)
