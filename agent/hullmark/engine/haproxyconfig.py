"""A plan in HAProxy's words: its configuration file and the tables beside it.

What HAProxy can be told while it runs (servers, who is admitted, who may call) is no part of the structure, whose digest the file and the running worker
carry as `description`. So one look at the worker tells whether it runs what it should.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hullmark.engine import haproxylog
from hullmark.engine.haproxyabilities import ALL, Abilities
from hullmark.engine.haproxyservers import CERTIFICATE, ROOT, called, name_of, place_of, words_of
from hullmark.model.proxyplan import (
    CALLS,
    CHECK_LABEL,
    CHECKED,
    LAST,
    PEER,
    PROXY_UNIT,
    REFUSALS,
    STRANGERS,
    TLS,
    Backend,
    Frontend,
    ProxyPlan,
    Server,
    caller_of,
    kind_of,
    subject_of,
)

CONFIG, ADMISSIONS, CALLERS, ADDRESSES = "haproxy.cfg", "admissions.map", "callers.acl", "addresses"

_CALL = "ssl_c_s_dn(CN),concat(/,txn.number),concat(/,txn.place),concat(:,txn.port)"
_SILENT = "set-log-level silent"

WORDS_MOST = 40
"""Of a list in one line: HAProxy takes 64 words and 2,048 characters."""
MOST_OF_ONE = 0.75
"""Of all connections: who floods one port must not have those of all others. The rest waits in the kernel."""
CONNECT_S = 3
HOLD_S = 2
"""How long a connection waits where no instance serves and nobody can be asked: often that is over in a moment."""
HANDSHAKE_S = 5
"""Whoever can reach the TLS port could else hold a connection of it for a day by saying nothing."""
MOST_TOLD = 10
"""Refusals of one caller at one service in `TOLD_S` that are logged each, and connections of one address that end before it is known who calls. All of them
are counted."""
MOST_STRANGE = 200
"""Connections of one address at a time to the port for other hosts, where it is none that is known of a host, and none of them has shown a host's certificate yet. Where the log
can't leave out what fails (`tells_of_failures`), so many in `TOLD_S`, too."""
TOLD_S = 10
_IS_OFTEN = f"{{ sc1_gpc0_rate gt {MOST_TOLD} }}"
_STORED = f"store gpc0,gpc0_rate({TOLD_S}s)"
MOST_REFUSED = 4000
"""Pairs of caller and service whose refusals are counted apart, at some 400 bytes each; the oldest makes way."""
CALL_BYTES, REFUSAL_BYTES = 128, 200
"""Of a key: a host's id, a number, an address and a port; an address and a frontend's name."""


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
    abilities: Abilities = ALL


@dataclass(frozen=True)
class Rendered:
    """`files` by name. `servers`: of each backend, by name, the words of `add server` and the weight."""

    digest: str
    files: Mapping[str, str]
    servers: Mapping[str, Mapping[str, tuple[str, int]]]


def render(plan: ProxyPlan, settings: Settings) -> Rendered:
    servers = {
        backend.name: {
            name_of(one, settings.abilities): (words_of(one, settings.folder), one.weight)
            for one in backend.servers
        }
        for backend in plan.backends
    }
    # With many hosts each is looked at less often: they all look at each other.
    every_s = max(2, len(plan.peers) // 20)
    parts = [_defaults(plan.host_id), _refusals()]
    parts += [_frontend(one, settings) for one in plan.frontends]
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
            # Up to version 2.4 a new worker is only handed the former one's sockets by one that allows it.
            f"    stats socket {settings.run_dir}/worker.sock mode 600 level admin expose-fd listeners",
            "    stats timeout 1m",
            f"    maxconn {settings.most_connections}",
            # Where the system's limit of files is below that, HAProxy does with what it has.
            "    no strict-limits",
            f"    nbthread {settings.threads}",
            f"    mworker-max-reloads {settings.abilities.most_former}",
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


_FORWARDED = (
    # What goes through a tunnel is not read, and requests in it could say that they come from anybody. In WebSocket's there are none.
    "    http-request deny deny_status 405 if METH_CONNECT",
    "    http-request del-header Upgrade if { req.hdr(Upgrade) -i -m sub h2c }",
    # A header that is named in this one is of this hop only: another proxy behind us would drop it.
    "    http-request del-header Connection if { req.hdr(Connection) -i X-Forwarded-For }",
    # Gateways that make a variable of a header's name, as CGI does, take all of these for one.
    "    http-request del-header X_Forwarded_For",
    "    http-request del-header X_Forwarded-For",
    "    http-request del-header X-Forwarded_For",
    "    http-request set-header X-Forwarded-For %[src]",
)


def _frontend(frontend: Frontend, settings: Settings) -> str:
    lines = [f"frontend {frontend.name} from {'web' if frontend.http else 'tcp'}"]
    lines += [f"    bind {place_of(one)}" for one in frontend.binds]
    lines.append(_bounded(settings))
    refused = []
    if frontend.shuts_out:
        lines += _lists("shut_out", "src", frontend.shuts_out)
        refused.append("if shut_out")
    if frontend.asks:
        caller = caller_of("", subject_of(frontend.name)[0])
        lines.append(f"    acl known src,concat({caller}) -m str -f {settings.folder}/{CALLERS}")
        refused.append("unless known")
    if not frontend.backend:
        refused.append("if TRUE")
    lines += [line for who in refused for line in _counted(frontend.name, who)]
    lines.append("    tcp-request content set-var(txn.outcome) str(failure)")
    lines += [line for who in refused for line in _refused(who)]
    if not frontend.backend:
        return "\n".join(lines)
    lines += _held(f"nbsrv({frontend.backend})")
    lines += _FORWARDED if frontend.http else ()
    lines.append(f"    default_backend {frontend.backend}")
    return "\n".join(lines)


def _tls(plan: ProxyPlan, settings: Settings) -> str:
    """The certificate says which host asks (CN), that it is its proxy which does (OU), and was verified by the cluster's root. The PROXY header comes before
    TLS, so whoever is on the wire can change it: of the client's address, not of who may ask for what."""
    keys = f"crt {settings.folder}/{CERTIFICATE} ca-file {settings.folder}/{ROOT}"
    is_proxy = f"{{ ssl_c_s_dn(OU) -m str {PROXY_UNIT} }}"
    asked = f"ssl_c_s_dn(CN),concat(@,txn.sni),map_str({settings.folder}/{ADMISSIONS})"
    is_ours = f"{is_proxy} of_cluster"
    is_check = f"{{ ssl_fc_sni -m str {CHECK_LABEL}.{plan.host_id} }} {is_ours}"
    is_refused = "unless { var(txn.backend) -m found }"
    can = settings.abilities
    return "\n".join(
        [
            f"frontend {TLS} from tcp",
            f"    log-format '{haproxylog.of_arrival(plan.host_id)}'",
            *_strangers(plan, can),
            # Which of the process's connections it is: what `show sess` calls its `id`.
            "    unique-id-format %rt",
            # Until it is known who calls; from then on `timeout tunnel` is what counts.
            f"    timeout client {HANDSHAKE_S}s",
            _bounded(settings),
            *(
                f"    bind {place_of(one)} accept-proxy ssl {keys} verify required"
                for one in plan.tls
            ),
            # A host that was removed has a certificate for some time yet, and is a stranger like any other.
            *_lists("of_cluster", "ssl_c_s_dn(CN) -m str", plan.hosts),
            f"    tcp-request session sc-set-gpt0(2) 1 if {is_ours}",
            *([f"    tcp-request content {_SILENT} if {is_check}"] if can.silences else []),
            f"    tcp-request content accept if {is_check}",
            "    tcp-request content set-var(txn.outcome) str(failure)",
            "    tcp-request content set-var(txn.number) unique-id",
            "    tcp-request content set-var(txn.place) src",
            "    tcp-request content set-var(txn.port) src_port",
            f"    tcp-request content set-var(txn.call) {_CALL} if {is_proxy}",
            f"    tcp-request content track-sc0 var(txn.call) table {CALLS} if {is_proxy}",
            "    tcp-request content set-var(txn.sni) ssl_fc_sni",
            f"    tcp-request content set-var(txn.backend) {asked} if {is_proxy}",
            f"    tcp-request content track-sc1 ssl_c_s_dn(CN),concat(@{TLS}) table {REFUSALS} {is_refused}",
            f"    tcp-request content sc-inc-gpc0(1) {is_refused}",
            *([f"    tcp-request content {_SILENT} if {_IS_OFTEN}"] if can.silences else []),
            *_refused(is_refused),
            *_held("var(txn.backend),nbsrv"),
            f"    use_backend {CHECKED} if {is_check}",
            "    use_backend %[var(txn.backend)]",
            # An answer, and not only a handshake: who looks would else be gone before this side took it for done, and called it refused.
            f"backend {CHECKED} from web",
            *([] if can.silences else [f"    http-request {_SILENT}"]),
            "    http-request return status 200",
            # Whose each of these connections is, for as long as it lasts (`haproxysessions`).
            f"backend {CALLS} from tcp",
            f"    stick-table type string len {CALL_BYTES} size {settings.most_connections} expire 5s",
            # Also of who is none, until it is known. As many as there may be at once, so that there is a place for each.
            f"backend {STRANGERS} from tcp",
            f"    stick-table type ipv6 size {settings.most_connections} expire {TOLD_S}s {_STORED},gpt0,conn_cur"
            + ("" if can.tells_of_failures else f",conn_rate({TOLD_S}s)"),
        ]
    )


def _strangers(plan: ProxyPlan, can: Abilities) -> list[str]:
    """Before the PROXY header, and so by addresses that are true. Who has IPv6 has 64 bits of it to choose from. Whoever comes by another way than by the address
    that is known of its host isn't held for a stranger any more from its first handshake on."""
    told = [
        f"    error-log-format '{haproxylog.of_stranger(plan.host_id, 2, MOST_TOLD)}'",
        f"    tcp-request connection set-var-fmt(sess.way) '{haproxylog.WAY_OF_STRANGER}'",
    ]
    hosts = sorted({one.address for one in plan.peers})
    is_none = "!known_host !host"
    reject = "tcp-request connection reject if"
    return [
        f"    tcp-request connection track-sc2 src,ipmask(32,64) table {STRANGERS}",
        *_lists("host", "src", hosts),
        "    acl known_host sc2_get_gpt0 gt 0",
        f"    {reject} {{ sc2_conn_cur gt {MOST_STRANGE} }} {is_none}",
        # Each that is let in to a handshake may be a line then.
        *(
            told
            if can.tells_of_failures
            else [f"    {reject} {{ sc2_conn_rate gt {MOST_STRANGE} }} {is_none}"]
        ),
    ]


def _lists(name: str, what: str, values: Sequence[str]) -> list[str]:
    """A condition for who has any of these values. For want of any it is one that nobody meets."""
    some = (values[at : at + WORDS_MOST] for at in range(0, len(values), WORDS_MOST))
    return [f"    acl {name} {what} {' '.join(each)}" for each in some] or [
        f"    acl {name} always_false"
    ]


def _refusals() -> str:
    table = f"type string len {REFUSAL_BYTES} size {MOST_REFUSED} expire {TOLD_S}s"
    return f"backend {REFUSALS} from tcp\n    stick-table {table} {_STORED}"


def _counted(frontend: str, who: str) -> list[str]:
    """`who`: the condition of a refusal. Whoever is refused without end fills no log, and hides nobody else's refusals in it: what ends before it is a session
    is counted and not logged. By connection, and first: where HTTP is read HAProxy wants that of whatever doesn't ask what was read."""
    return [
        f"    tcp-request session track-sc1 src,concat(@{frontend}) table {REFUSALS} {who}",
        f"    tcp-request session sc-inc-gpc0(1) {who}",
        f"    tcp-request session reject if {_IS_OFTEN}",
    ]


def _refused(who: str) -> list[str]:
    return [
        f"    tcp-request content set-var(txn.outcome) str(refused) {who}",
        f"    tcp-request content reject {who}",
    ]


def _held(servers: str) -> list[str]:
    """Until it is known that somebody can be asked, or that it takes too long. In a worker that was told to end no server counts as usable, and all of
    them are."""
    return [
        f"    tcp-request inspect-delay {HOLD_S}s",
        f"    tcp-request content accept if {{ {servers} gt 0 }} || {{ stopping }} || WAIT_END",
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
                f"    server {one.name} {called(one, settings.folder)} {watch.format(one.server_name)}"
                for one in peers
            ),
        ]
    )


def _lines(each: Iterable[str]) -> str:
    return "".join(f"{one}\n" for one in each)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
