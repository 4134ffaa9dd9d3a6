"""Servers in HAProxy's words: containers of this host, and other hosts' proxies."""

from __future__ import annotations

from pathlib import Path

from hullmark.engine.haproxyabilities import Abilities
from hullmark.model.proxyplan import PEER, Bind, Server

CERTIFICATE, ROOT = "proxy.pem", "root.pem"

# No check while all is well: some programs count a connection that says nothing as an attack (MySQL's max_connect_errors), or log each. The first
# connection that fails calls for a check at once; two that fail take the server out, and it is looked at until it answers again. Open
# connections of a server that doesn't answer stay: they end by themselves when its container does, and by keep-alive when its host does.
_WATCHED = (
    "check inter 1h fastinter 500ms downinter 500ms fall 2 rise 1 observe layer4 error-limit 1"
    " on-error sudden-death"
)


def name_of(server: Server, can: Abilities) -> str:
    """Where each new name is a reload a container keeps its name at another address: one that crashes and starts again and again would else be as many."""
    if can.takes_servers or not server.container_id:
        return server.name
    return server.name.removesuffix(server.address)


def words_of(server: Server, folder: Path) -> str:
    if server.peer:
        words = [called(server, folder)]
        words += [] if server.unchecked else [f"track {PEER}/{server.name}"]
    else:
        words = [place_of(Bind(server.address, server.port)), _WATCHED]
        words += ["send-proxy-v2"] if server.proxy_header else []
    words += ["backup"] if server.backup else []
    return " ".join(words)


def called(server: Server, folder: Path) -> str:
    """The words by which another host's proxy is called. It is verified by its name, which the server name ends in."""
    keys = f"crt {folder}/{CERTIFICATE} ca-file {folder}/{ROOT}"
    verified = f"verify required sni str({server.server_name}) ssl-min-ver TLSv1.3"
    return f"{place_of(Bind(server.address, server.port))} ssl {keys} {verified} send-proxy-v2"


def place_of(bind: Bind) -> str:
    address = f"[{bind.address}]" if ":" in bind.address else bind.address
    interface = f" interface {bind.interface}" if bind.interface else ""
    return f"{address}:{bind.port}{interface}"
