"""What a real kernel says of ports that are listened on."""

from __future__ import annotations

import socket

from hullmark.host.listeners import Ours, ephemeral_from, listeners
from hullmark.model.host import Listener


def bound(kind: socket.SocketKind) -> socket.socket:
    """Below the range that is left out, at an address of its own."""
    for port in range(ephemeral_from() - 1, 1024, -1):
        one = socket.socket(socket.AF_INET, kind)
        try:
            one.bind(("127.0.7.41", port))
        except OSError:
            one.close()
            continue
        return one
    raise AssertionError("no port is free")


def test_of_ports_that_the_kernel_gives_away_what_is_listened_on_is_seen() -> None:
    address = "127.0.7.42"
    with (
        socket.socket() as tcp,
        socket.socket() as bound_only,
        socket.socket(type=socket.SOCK_DGRAM) as udp,
    ):
        for one in (tcp, bound_only, udp):
            one.bind((address, 0))
            assert one.getsockname()[1] >= ephemeral_from()
        tcp.listen()
        with socket.create_connection(tcp.getsockname(), source_address=(address, 0)):
            seen = [one for one in listeners() if one.address == address]
        assert [(one.port, one.protocol) for one in seen] == [(tcp.getsockname()[1], "tcp")]
        assert seen[0].process


def test_listening_and_bound_sockets_are_seen_until_they_are_closed() -> None:
    with bound(socket.SOCK_STREAM) as tcp, bound(socket.SOCK_DGRAM) as udp:
        tcp.listen()
        wanted = {(tcp.getsockname()[1], "tcp"), (udp.getsockname()[1], "udp")}
        seen = {(one.port, one.protocol): one for one in listeners() if one.address == "127.0.7.41"}
        assert set(seen) == wanted
        assert all(one.process for one in seen.values())
        port = tcp.getsockname()[1]
        assert not [
            one
            for one in listeners(ours=Ours({("tcp", port)}))
            if one == Listener(port, "tcp", "127.0.7.41", seen[port, "tcp"].process)
        ]
    assert not [one for one in listeners() if one.address == "127.0.7.41"]
