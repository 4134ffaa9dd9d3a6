"""The proxy's log: one JSON object for each connection, with the fields that audit records have (`model/audit.py`), as far as a proxy knows them.

    {"at": "2026-11-29T05:40:01Z", "log": "host:1f...", "kind": "proxy.connection", "stage": "event", "outcome": "success", "by": "unknown",
     "actor": "unknown", "origin": "172.18.0.3", "subject": "shop/api", "port": 8080, ...}

`at` is when it ended, `began` (seconds since 1970) when it came. `outcome`: `refused` for who may not, `failure` where no server was reached. What others can choose
freely (a server name) is escaped by HAProxy's `json` converter; all else is a name or number of ours.
"""

from __future__ import annotations

_AT = '"at":"%[date,utime(%Y-%m-%dT%H:%M:%SZ)]"'
_KIND = '"kind":"proxy.connection","stage":"event"'
_PLACE = '"address":"%fi","port":%fp'
_WAY = (
    '"server":"%s","state":"%ts","bytes_in":%U,"bytes_out":%B,"began":%Ts.%ms,"queue_ms":%Tw,"connect_ms":%Tc,"total_ms":%Tt,'
    '"retries":"%rc"'
)
_OUTCOME = '"outcome":"%[var(txn.outcome)]"'
_NOBODY = '"by":"unknown","actor":"unknown","origin":"%ci","origin_port":%cp'


def of_connection(host_id: str) -> str:
    return _line(host_id, _OUTCOME, _NOBODY, _subject("fe_name"), _PLACE, _WAY)


def of_request(host_id: str) -> str:
    """Of HTTP: a line for each request, without its path and headers, which may hold secrets."""
    way = _WAY.replace("%Tt", "%Ta")
    return _line(host_id, _OUTCOME, _NOBODY, _subject("fe_name"), _PLACE, '"status":%ST', way)


def of_arrival(host_id: str) -> str:
    """From another host: `by` is its id, `origin` the client that it is asked for."""
    peer = '"by":"%[ssl_c_s_dn(CN),json(utf8s)]","actor":"host","origin":"%ci","origin_port":%cp'
    asked = '"server_name":"%[var(txn.sni),json(utf8s)]"'
    return _line(host_id, _OUTCOME, peer, _subject("var(txn.backend)"), asked, _PLACE, _WAY)


def of_no_connection(host_id: str) -> str:
    """Of one that ended before it was one: TLS or a PROXY header that is none."""
    reason = '"reason":"%[fc_err_str,json(utf8s)]","tls":"%[ssl_fc_err_str,json(utf8s)]"'
    return _line(host_id, '"outcome":"refused"', _NOBODY, '"subject":"%ft"', _PLACE, reason)


def _subject(of: str) -> str:
    return f'"subject":"%[{of},field(2,:)]/%[{of},field(3,:)]","service_port":"%[{of},field(4,:)]"'


def _line(host_id: str, *parts: str) -> str:
    return "{" + ",".join((_AT, f'"log":"host:{host_id}"', _KIND, *parts)) + "}"
