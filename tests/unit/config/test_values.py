from __future__ import annotations

from typing import Any, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hullmark.config import values

READERS: dict[str, Callable[[Any], Any]] = {
    "path": values.path,
    "host_name": values.host_name,
    "path_or_none": values.path_or_none,
    "etcd_urls": values.etcd_urls,
    "etcd_user": values.etcd_user,
    "urls": values.urls,
    "addresses": values.addresses,
    "accounts": values.accounts,
    "socket_url": values.socket_url,
    "subnet": values.subnet,
    "service_range": values.service_range,
    "listener": values.listener,
    "number": values.number(1, 64),
    "choice": values.choice("debug", "info"),
    "duration": values.duration(1, 600),
    "size": values.size(1 << 10, 1 << 20),
}

GOOD = [
    ("path", "/a b", "/a b"),
    ("host_name", "", ""),
    ("host_name", "web-1.example.com", "web-1.example.com"),
    ("path_or_none", "", ""),
    ("path_or_none", "/a", "/a"),
    ("etcd_urls", ["https://e1:2379"], ("https://e1:2379",)),
    (
        "etcd_urls",
        ["http://127.0.0.1:1", "http://[::1]:2"],
        ("http://127.0.0.1:1", "http://[::1]:2"),
    ),
    ("etcd_urls", ["http://localhost:65535"], ("http://localhost:65535",)),
    ("etcd_user", "hullmark", "hullmark"),
    ("urls", [], ()),
    ("urls", ["https://m1:7441", "https://[::1]:1"], ("https://m1:7441", "https://[::1]:1")),
    ("addresses", ["m1", "10.0.0.1", "fd00::1"], ("m1", "10.0.0.1", "fd00::1")),
    ("accounts", [], ()),
    (
        "accounts",
        ["anna", "SHOP\\\\domain admins", "b@x.net"],
        ("anna", "SHOP\\\\domain admins", "b@x.net"),
    ),
    ("socket_url", "", ""),
    ("socket_url", "unix:///run/docker.sock", "unix:///run/docker.sock"),
    ("subnet", "10.0.0.0/8", "10.0.0.0/8"),
    ("service_range", "10.214.0.0/16", "10.214.0.0/16"),
    ("service_range", "192.0.2.8/29", "192.0.2.8/29"),
    ("listener", "0.0.0.0:7442", "0.0.0.0:7442"),
    ("listener", "[::]:65535", "[::]:65535"),
    ("number", 1, 1),
    ("number", 64, 64),
    ("choice", "info", "info"),
    ("size", 1024, 1024),
    ("size", "1MiB", 1 << 20),
    ("size", "2 KiB", 2048),
    ("size", "1024B", 1024),
    ("duration", 1, 1.0),
    ("duration", 1.5, 1.5),
    ("duration", "10m", 600.0),
    ("duration", "1m30s", 90.0),
]

BAD: list[tuple[str, list[Any]]] = [
    ("path_or_none", ["a", None]),
    (
        "etcd_urls",
        [
            "https://e1:2379",
            ["https://e1"],
            ["http://e1:2379"],
            ["http://10.0.0.1:2379"],
            ["http://127.0.0.1"],
            ["http://127.0.0.1.example.com:2379"],
            ["http://127.0.0.1:70000"],
            ["ftp://127.0.0.1:1"],
            ["https://e1:2379", "https://e1:2379"],
            [1],
        ],
    ),
    ("etcd_user", ["a\nb", None]),
    ("path", ["", "a", "./a", "/a\n", "/a\0", None, 5, ["/a"]]),
    ("host_name", ["A", "a_b", "-", None, 5, "a\n"]),
    ("urls", ["https://m1:1", None, ["http://m1:1"], ["https://m1"], [5], ["https://m1:1/"]]),
    ("urls", [["https://m1:0"], ["https://m1:65536"], ["https://m1:1\n"], ["https://a b:1"]]),
    ("addresses", ["m1", None, ["a b"], [5], ["-a"], ["a/b"], [""]]),
    ("accounts", ["anna", None, [5], ["1000"], ["a:b"], [""], [" a"], ["a\n"], ["a" * 257]]),
    ("socket_url", ["/run/docker.sock", "tcp://a:1", "unix://a", None, 5, "unix:///a\n"]),
    (
        "service_range",
        ["10.0.0.0/8", "10.214.0.0/15", "10.0.0.0/30", "10.0.0.1/16", "::/16", "8.8.0.0/16", 5],
    ),
    ("subnet", ["10.0.0.1/8", "10.0.0.0/33", "::/8", "", None, 5, True, ["10.0.0.0/8"]]),
    ("listener", ["", ":80", "80", "localhost:80", "0.0.0.0:0", "0.0.0.0:65536", None, 80]),
    ("listener", ["::1:80", "[::1:80", "[0.0.0.0", "0.0.0.0:\u0661", "1.2.3:80", "]1.2.3.4[:80"]),
    ("number", [0, 65, 1.0, "1", True, None]),
    (
        "size",
        [1023, "2MiB", "1024", "1M", "1MB", "-1KiB", "1.5KiB", 2048.0, True, None, [], "\u0661KiB"],
    ),
    ("choice", ["", "INFO", None, True, ["info"], {}]),
    ("duration", [0, 601, "0.5s", "11m", "5", "", "s", "-5s", "5 s", "5y", "1e3s", None, True]),
    ("duration", [float("nan"), float("inf"), [], "9" * 400 + "s", "\u0661s"]),
]


@pytest.mark.parametrize(("name", "value", "expected"), GOOD)
def test_what_is_allowed(name: str, value: Any, expected: Any) -> None:
    found = READERS[name](value)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, bad in BAD for value in bad])
def test_what_is_not(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=r"[a-z]"):  # what is allowed, for the person
        READERS[name](value)


ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.lists(st.one_of(st.text(max_size=12), st.integers()), max_size=2),
    st.dictionaries(st.text(max_size=2), st.none(), max_size=1),
    st.text(st.sampled_from("0123456789.:[]/hmsd-a"), max_size=12),
)


@pytest.mark.parametrize("name", sorted(READERS))
@given(value=ANYTHING)
def test_anything_is_read_or_refused(name: str, value: Any) -> None:
    try:
        READERS[name](value)
    except ValueError as error:
        allowed = str(error)
    else:
        return
    assert allowed


@pytest.mark.parametrize(
    ("value", "seconds"), [("250ms", 0.25), ("1h30m", 5400.0), (7, 7.0), (1.5, 1.5)]
)
def test_durations(value: Any, seconds: float) -> None:
    assert values.duration(0, 86400)(value) == seconds


@pytest.mark.parametrize("value", ["s", "", "2d", 86401, True, None, float("nan")])
def test_what_is_no_duration_in_bounds(value: Any) -> None:
    with pytest.raises(ValueError, match="from 0s to 86400s"):
        values.duration(0, 86400)(value)
