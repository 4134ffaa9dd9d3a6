"""A plan in HAProxy's words: its configuration file and the tables beside it.

What HAProxy can be told while it runs (servers, who is admitted, who may call) is no part of the structure, whose digest the file and the running worker
carry as `description`. So one look at the worker tells whether it runs what it should.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hullmark.engine import haproxylog
from hullmark.model.proxyplan import (
    CHECK_LABEL,
    CHECKED,
    LAST,
    PEER,
    PROXY_UNIT,
    TLS,
    Backend,
    Bind,
    Frontend,
    ProxyPlan,
    Server,
    caller_of,
    kind_of,
    subject_of,
)

CONFIG, ADMISSIONS, CALLERS, ADDRESSES = "haproxy.cfg", "admissions.map", "callers.acl", "addresses"
CERTIFICATE, ROOT = "proxy.pem", "root.pem"

# No check while all is well: some programs count a connection that says nothing as an attack (MySQL's max_connect_errors), or log each. The first
# connection that fails calls for a check at once; two that fail take the server out, and it is looked at until it answers again. Open
# connections of a server that doesn't answer stay: they end by themselves when its container does, and by keep-alive when its host does.
_WATCHED = (
    "check inter 1h fastinter 500ms downinter 500ms fall 2 rise 1 observe layer4 error-limit 1"
    " on-error sudden-death"
)

MOST_FORMER = 20
"""A worker of a former configuration lives as long as its last connection, and takes as much memory as the newest (27 MB at 100 services, 80 MB at 1,000).
One that saw so many reloads is ended with the connections that it has left."""
WORDS_MOST = 40
"""Of a list in one line: HAProxy takes 64 words and 2,048 characters."""
MOST_OF_ONE = 0.75
"""Of all connections: who floods one port must not have those of all others. The rest waits in the kernel."""
CONNECT_S = 3
HOLD_S = 2
"""How long a connection waits where no instance serves and nobody can be asked: often that is over in a moment."""
HANDSHAKE_S = 5
"""Whoever can reach the TLS port could else hold a connection of it for a day by saying nothing."""


@dataclass(frozen=True)
class Settings:
    """`user` empty: the worker stays as its main process is.

    `most_connections`: HAProxy lays out its tables of files for this many at its start (some 100 bytes for each), and would take the system's limit of
    files for it, which is a million on many hosts: 100 MB for nothing. 20,000 is two files for each, which a small host's limit allows. A connection
    that says nothing costs 3.4 KB (measured with 2.6), buffers (2 times 16 KB) only while something is in them.

    `threads`: each has its own cache of buffers and a part of each server's counters; one does some 40,000 requests a second, and four are
    more than containers on one host ask of it."""

    folder: Path
    run_dir: Path
    threads: int = 2
    most_connections: int = 20_000
    user: str = ""
    group: str = ""


@dataclass(frozen=True)
class Rendered:
    """`files` by name. `servers`: of each backend, by name, the words of `add server` and the weight."""

    digest: str
    files: Mapping[str, str]
    servers: Mapping[str, Mapping[str, tuple[str, int]]]


def render(plan: ProxyPlan, settings: Settings) -> Rendered:
    servers = {
        backend.name: {one.name: (_server(one, settings), one.weight) for one in backend.servers}
        for backend in plan.backends
    }
    # With many hosts each is looked at less often: they all look at each other.
    every_s = max(2, len(plan.peers) // 20)
    parts = [_defaults(plan.host_id), *(_frontend(one, settings) for one in plan.frontends)]
    if plan.tls:
        parts.append(_tls(plan, settings))
    parts += [_peers(plan.peers, every_s, settings)] if plan.peers else []
    indexes = {bind.interface: bind.index for one in plan.frontends for bind in one.binds}
    parts += [f"# interface {name} is {index}" for name, index in sorted(indexes.items()) if name]
    hollow = [_global(settings, ""), *parts, *(_backend(one, {}) for one in plan.backends)]
    digest = _digest("\n".join(hollow) + plan.certificate)
    full = [
        _global(settings, digest),
        *parts,
        *(_backend(one, servers[one.name]) for one in plan.backends),
    ]
    files = {
        ADDRESSES: _lines(plan.addresses),
        CALLERS: _lines(plan.callers),
        ADMISSIONS: _lines(f"{key} {value}" for key, value in sorted(plan.admissions.items())),
        CONFIG: "\n".join(full) + "\n",
    }
    return Rendered(digest, files, servers)


def _global(settings: Settings, digest: str) -> str:
    own = [f"    user {settings.user}"] if settings.user else []
    own += [f"    group {settings.group}"] if settings.group else []
    return "\n".join(
        [
            "# Written by this host's Hullmark agent, which notices and undoes what is changed here.",
            "global",
            f"    description {digest}",
            f"    stats socket {settings.run_dir}/worker.sock mode 600 level admin",
            "    stats timeout 1m",
            f"    maxconn {settings.most_connections}",
            # Where the system's limit of files is below that, HAProxy does with what it has.
            "    no strict-limits",
            f"    nbthread {settings.threads}",
            f"    mworker-max-reloads {MOST_FORMER}",
            "    tune.ssl.cachesize 1000",
            "    ssl-default-bind-options ssl-min-ver TLSv1.3",
            "    ssl-default-server-options ssl-min-ver TLSv1.3",
            "    log /dev/log len 4096 format local local1 info",
            "    log-tag hullmark-proxy",
            *own,
        ]
    )


def _defaults(host_id: str) -> str:
    """A connection that can't be made is tried three more times, each time with another server. A half-open one is found by keep-alive within a minute and
    a half, so that a long silence of both sides is nothing wrong: databases' pools are silent for hours."""
    shared = [
        "    log global",
        f"    error-log-format '{haproxylog.of_no_connection(host_id)}'",
        "    option clitcpka",
        "    clitcpka-idle 60s",
        "    clitcpka-intvl 10s",
        "    clitcpka-cnt 3",
        "    option srvtcpka",
        "    srvtcpka-idle 60s",
        "    srvtcpka-intvl 10s",
        "    srvtcpka-cnt 3",
        # With the handshake of TLS: on a busy machine that takes longer than a second now and then.
        f"    timeout connect {CONNECT_S}s",
        "    timeout check 5s",
        f"    timeout queue {CONNECT_S}s",
        "    timeout client 24h",
        "    timeout server 24h",
        "    timeout tunnel 24h",
        "    option redispatch 1",
        "    retries 3",
        "    balance roundrobin",
    ]
    return "\n".join(
        [
            "defaults tcp",
            "    mode tcp",
            *shared,
            f"    log-format '{haproxylog.of_connection(host_id)}'",
            "defaults web",
            "    mode http",
            *shared,
            "    timeout http-request 1m",
            "    timeout http-keep-alive 1m",
            f"    log-format '{haproxylog.of_request(host_id)}'",
        ]
    )


def _frontend(frontend: Frontend, settings: Settings) -> str:
    lines = [f"frontend {frontend.name} from {'web' if frontend.http else 'tcp'}"]
    lines += [f"    bind {_place(one)}" for one in frontend.binds]
    lines.append(_bounded(settings))
    lines.append("    tcp-request content set-var(txn.outcome) str(failure)")
    if frontend.shuts_out:
        shut_out = frontend.shuts_out
        some = (shut_out[at : at + WORDS_MOST] for at in range(0, len(shut_out), WORDS_MOST))
        lines += [
            *(f"    acl shut_out src {' '.join(each)}" for each in some),
            "    tcp-request content set-var(txn.outcome) str(refused) if shut_out",
            "    tcp-request content reject if shut_out",
        ]
    if frontend.asks:
        caller = caller_of("", subject_of(frontend.name)[0])
        known = f"{{ src,concat({caller}) -m str -f {settings.folder}/{CALLERS} }}"
        lines += [
            f"    tcp-request content set-var(txn.outcome) str(refused) unless {known}",
            "    tcp-request content reject if { var(txn.outcome) -m str refused }",
        ]
    lines += _held(f"nbsrv({frontend.backend})")
    if frontend.http:
        lines.append("    http-request set-header X-Forwarded-For %[src]")
    lines.append(f"    default_backend {frontend.backend}")
    return "\n".join(lines)


def _tls(plan: ProxyPlan, settings: Settings) -> str:
    """The certificate says which host asks (CN), that it is its proxy which does (OU), and was verified by the cluster's root. The PROXY header comes before
    TLS, so whoever is on the wire can change it: of the client's address, not of who may ask for what."""
    keys = f"crt {settings.folder}/{CERTIFICATE} ca-file {settings.folder}/{ROOT}"
    is_proxy = f"{{ ssl_c_s_dn(OU) -m str {PROXY_UNIT} }}"
    asked = f"ssl_c_s_dn(CN),concat(@,txn.sni),map_str({settings.folder}/{ADMISSIONS})"
    is_check = f"{{ ssl_fc_sni -m str {CHECK_LABEL}.{plan.host_id} }} {is_proxy}"
    return "\n".join(
        [
            f"frontend {TLS} from tcp",
            f"    log-format '{haproxylog.of_arrival(plan.host_id)}'",
            # Until it is known who calls; from then on `timeout tunnel` is what counts.
            f"    timeout client {HANDSHAKE_S}s",
            _bounded(settings),
            *(
                f"    bind {_place(one)} accept-proxy ssl {keys} verify required"
                for one in plan.tls
            ),
            f"    tcp-request content set-log-level silent if {is_check}",
            f"    tcp-request content accept if {is_check}",
            "    tcp-request content set-var(txn.outcome) str(failure)",
            "    tcp-request content set-var(txn.sni) ssl_fc_sni",
            f"    tcp-request content set-var(txn.backend) {asked} if {is_proxy}",
            "    tcp-request content set-var(txn.outcome) str(refused) unless { var(txn.backend) -m found }",
            "    tcp-request content reject unless { var(txn.backend) -m found }",
            *_held("var(txn.backend),nbsrv"),
            f"    use_backend {CHECKED} if {is_check}",
            "    use_backend %[var(txn.backend)]",
            # An answer, and not only a handshake: who looks would else be gone before this side took it for done, and called it refused.
            f"backend {CHECKED} from web",
            "    http-request return status 200",
        ]
    )


def _held(servers: str) -> list[str]:
    """Until it is known that somebody can be asked, or that it takes too long."""
    return [
        f"    tcp-request inspect-delay {HOLD_S}s",
        f"    tcp-request content accept if {{ {servers} gt 0 }} || WAIT_END",
    ]


def _bounded(settings: Settings) -> str:
    return f"    maxconn {int(settings.most_connections * MOST_OF_ONE)}"


def _backend(backend: Backend, servers: Mapping[str, tuple[str, int]]) -> str:
    lines = [f"backend {backend.name} from {'web' if backend.http else 'tcp'}"]
    lines.append("    tcp-response content set-var(txn.outcome) str(success)")
    if kind_of(backend.name) != LAST:
        lines.append("    option allbackups")
    lines += [
        f"    server {name} {words} weight {weight}" for name, (words, weight) in servers.items()
    ]
    return "\n".join(lines)


def _peers(peers: Iterable[Server], every_s: int, settings: Settings) -> str:
    watch = f"check check-sni {{}} inter {every_s}s fastinter 300ms downinter 2s fall 3 rise 1"
    return "\n".join(
        [
            f"backend {PEER} from tcp",
            # Of a look alone. A host that doesn't answer at all is found soon; one that was taken for dead wrongly is a last resort.
            "    timeout connect 1500ms",
            "    option httpchk GET /",
            *(
                f"    server {one.name} {_called(one, settings)} {watch.format(one.server_name)}"
                for one in peers
            ),
        ]
    )


def _server(server: Server, settings: Settings) -> str:
    if server.peer:
        words = [_called(server, settings)]
        words += [] if server.unchecked else [f"track {PEER}/{server.name}"]
    else:
        words = [_place(Bind(server.address, server.port)), _WATCHED]
        words += ["send-proxy-v2"] if server.proxy_header else []
    words += ["backup"] if server.backup else []
    return " ".join(words)


def _called(server: Server, settings: Settings) -> str:
    """The words by which another host's proxy is called. It is verified by its name, which the server name ends in."""
    keys = f"crt {settings.folder}/{CERTIFICATE} ca-file {settings.folder}/{ROOT}"
    verified = f"verify required sni str({server.server_name}) ssl-min-ver TLSv1.3"
    return f"{_place(Bind(server.address, server.port))} ssl {keys} {verified} send-proxy-v2"


def _place(bind: Bind) -> str:
    address = f"[{bind.address}]" if ":" in bind.address else bind.address
    interface = f" interface {bind.interface}" if bind.interface else ""
    return f"{address}:{bind.port}{interface}"


def _lines(each: Iterable[str]) -> str:
    return "".join(f"{one}\n" for one in each)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
