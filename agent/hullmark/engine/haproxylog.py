"""The proxy's log: one JSON object for each connection, with the fields that audit records have (`model/audit.py`), as far as a proxy knows them.

    {"at": "2026-11-29T05:40:01Z", "log": "host:1f...", "kind": "proxy.connection", "stage": "event", "outcome": "success", "by": "unknown",
     "actor": "unknown", "origin": "172.18.0.3", "subject": "shop/api", "port": 8080, ...}

`at` is when it ended, `began` (seconds since 1970) when it came. `outcome`: `refused` for who may not, `failure` where no server was reached. What others can choose
freely (a server name) is escaped by HAProxy's `json` converter; all else is a name or number of ours.
"""

from __future__ import annotations

_DATE = "date,utime(%Y-%m-%dT%H:%M:%SZ)"
_AT = f'"at":"%[{_DATE}]"'
_KIND = '"kind":"proxy.connection","stage":"event"'
_PLACE = '"address":"%fi","port":%fp'
_WAY = (
    '"server":"%s","state":"%ts","bytes_in":%U,"bytes_out":%B,"began":%Ts.%ms,"queue_ms":%Tw,"connect_ms":%Tc,"total_ms":%Tt,'
    '"retries":"%rc"'
)
_OUTCOME = '"outcome":"%[var(txn.outcome)]"'
_OUTCOME_OF_REQUEST = '"outcome":"%[str(failure),concat(|,txn.outcome),word(-1,|)]"'
"""What ended before it was a request, or was none that HTTP knows, has no variables."""
_REFUSED = '"outcome":"refused"'
_UNKNOWN = '"by":"unknown","actor":"unknown"'
_NOBODY = f'{_UNKNOWN},"origin":"%ci","origin_port":%cp'
_MARK = "|"
"""Is in none of a line's texts, which are ours, HAProxy's and OpenSSL's."""


def of_connection(host_id: str) -> str:
    return _line(host_id, _OUTCOME, _NOBODY, _subject("fe_name"), _PLACE, _WAY)


def of_request(host_id: str) -> str:
    """Of HTTP: a line for each request, without its path and headers, which may hold secrets."""
    way = _WAY.replace("%Tt", "%Ta")
    parts = (_NOBODY, _subject("fe_name"), _PLACE, '"status":%ST', way)
    return _line(host_id, _OUTCOME_OF_REQUEST, *parts)


def of_arrival(host_id: str) -> str:
    """From another host: `by` is its id, `origin` the client that it is asked for."""
    peer = '"by":"%[ssl_c_s_dn(CN),json(utf8s)]","actor":"host","origin":"%ci","origin_port":%cp'
    asked = '"server_name":"%[var(txn.sni),json(utf8s)]"'
    return _line(host_id, _OUTCOME, peer, _subject("var(txn.backend)"), asked, _PLACE, _WAY)


WAY_OF_STRANGER = (
    '"origin":"%[src]","origin_port":%[src_port],"address":"%[dst]","port":%[dst_port]'
)
"""For `sess.way` of `of_stranger`, when a connection comes. Later its addresses are those that its PROXY header says, whoever wrote that."""


def of_stranger(host_id: str, counter: int, most: int) -> str:
    """Of one that ended before TLS told who calls: TLS that failed, a PROXY header that is none, silence. `counter`: which of HAProxy's counters tracks its
    address, with `gpc0` and the rate of that. Each of these counts there; where the rate is above `most` there is no line.

    HAProxy knows no condition for this line, but writes none that is empty. So one expression makes all of it, and a mark before it, where it is not to be
    written, leaves nothing of it. What isn't a text of ours comes into it by variables, which are set before, and print nothing."""
    kept = {
        "at": _DATE,
        "reason": "fc_err_str,json(utf8s)",
        "tls": "ssl_fc_err_str,json(utf8s)",
        "failures": f"sc{counter}_inc_gpc0",
    }
    fixed = f'","log":"host:{host_id}",{_KIND},{_REFUSED},{_UNKNOWN},"subject":"tls",'
    line = [
        f"sc{counter}_gpc0_rate,div({most + 1}),bool,iif({_MARK},)",
        _joined('{"at":"', "at", fixed),
        _joined("", "way", ',"reason":"'),
        _joined("", "reason", '","tls":"'),
        _joined("", "tls", '","failures":'),
        _joined("", "failures", "}"),
        f"field(1,{_MARK})",
    ]
    set_before = [f"{what},set-var(sess.{name}),field(2,{_MARK})" for name, what in kept.items()]
    # Without M, nothing would be a dash.
    return "".join(f"%{{-M}}[{one}]" for one in (*set_before, ",".join(line)))


def _joined(before: str, name: str, after: str) -> str:
    start, end = (f'"{_escaped(one)}"' if one else "" for one in (before, after))
    return f"concat({start},sess.{name},{end})"


def _escaped(text: str) -> str:
    return text.replace('"', r"\"")


def _subject(of: str) -> str:
    return f'"subject":"%[{of},field(2,:)]/%[{of},field(3,:)]","service_port":"%[{of},field(4,:)]"'


def _line(host_id: str, *parts: str) -> str:
    return "{" + ",".join((_AT, f'"log":"host:{host_id}"', _KIND, *parts)) + "}"
