"""Readers of single values. Each raises ValueError with what is allowed."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Any

from hullmark.model.durations import in_seconds
from hullmark.model.loopback import is_loopback
from hullmark.model.names import HOST_NAME
from hullmark.model.sizes import compact, in_bytes

ACCOUNT_MAX_CHARACTERS = 256

_URL = re.compile(r"https://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):(?P<port>[0-9]{1,5})")
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")
_MAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,255}")
_SERVER = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):(?P<port>[0-9]{1,5})")
_LISTENER = re.compile(r"(?P<address>[0-9.]+|\[[0-9a-fA-F:.]+\]):(?P<port>[0-9]{1,5})")


def path(value: Any) -> str:
    if isinstance(value, str) and value.startswith("/") and value.isprintable():
        return value
    raise ValueError("an absolute path")


def paths(value: Any) -> tuple[str, ...]:
    try:
        return tuple(path(item) for item in value) if isinstance(value, list) else (path(None),)
    except ValueError:
        raise ValueError("a list of absolute paths") from None


def path_or_none(value: Any) -> str:
    return "" if value == "" else path(value)


def name(value: Any) -> str:
    """Of a file, without its ending."""
    if isinstance(value, str) and _NAME.fullmatch(value):
        return value
    raise ValueError("a name of lower-case letters, digits, dots and hyphens")


def url_or_none(value: Any) -> str:
    """Without TLS on loopback only: who reads alerts knows what does not work."""
    if value == "":
        return ""
    if isinstance(value, str) and value.isprintable() and " " not in value:
        scheme, _, rest = value.partition("://")
        host = re.split(r"[/?#]", rest, maxsplit=1)[0]
        named = re.sub(r":[0-9]{1,5}$", "", host)
        if (
            named
            and "@" not in host
            and (scheme == "https" or (scheme == "http" and _is_loopback(named)))
        ):
            return value
    raise ValueError("https://HOST/PATH (or http:// on a loopback address), without a user")


def mails(value: Any) -> tuple[str, ...]:
    if isinstance(value, list) and all(_is_mail(item) for item in value):
        return tuple(value)
    raise ValueError("a list of mail addresses")


def mail_or_none(value: Any) -> str:
    if value == "" or _is_mail(value):
        return str(value)
    raise ValueError("a mail address")


def _is_mail(value: Any) -> bool:
    return isinstance(value, str) and _MAIL.fullmatch(value) is not None


def mail_server(value: Any) -> str:
    found = _SERVER.fullmatch(value) if isinstance(value, str) else None
    if found and 0 < int(found["port"]) < 65536:
        return str(value)
    raise ValueError("HOST:PORT, such as localhost:25")


def host_name(value: Any) -> str:
    if value == "" or (isinstance(value, str) and HOST_NAME.fullmatch(value)):
        return str(value)
    raise ValueError("a host name in lower case (RFC 1123)")


def urls(value: Any) -> tuple[str, ...]:
    if isinstance(value, list) and all(isinstance(item, str) and _is_url(item) for item in value):
        return tuple(value)
    raise ValueError("a list of https://HOST:PORT")


def _is_url(text: str) -> bool:
    found = _URL.fullmatch(text)
    return found is not None and 0 < int(found["port"]) < 65536


def etcd_urls(value: Any) -> tuple[str, ...]:
    """Without TLS on loopback only: what goes to a store tells all, and decides all."""
    form = "a list of https://HOST:PORT (or http:// on a loopback address), none twice"
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(form)
    for item in value:
        plain = item.startswith("http://") and _is_loopback(
            item[len("http://") :].rpartition(":")[0]
        )
        if not _is_url("https" + item[len("http") :] if plain else item) or value.count(item) > 1:
            raise ValueError(form)
    return tuple(value)


def _is_loopback(host: str) -> bool:
    """As it is in a URL: an address of IPv6 in brackets."""
    return is_loopback(host.strip("[]"))


def etcd_user(value: Any) -> str:
    if isinstance(value, str) and value.isprintable() and len(value) <= ACCOUNT_MAX_CHARACTERS:
        return value
    raise ValueError("the name of a user of etcd")


def addresses(value: Any) -> tuple[str, ...]:
    pattern = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
    if not isinstance(value, list):
        raise ValueError("a list of host names and IP addresses")
    for item in value:
        if not isinstance(item, str) or not (pattern.fullmatch(item) or _is_address(item)):
            raise ValueError("a list of host names and IP addresses")
    return tuple(value)


def accounts(value: Any) -> tuple[str, ...]:
    """Names of users or groups as the system has them, which may hold `@`, `\\` and spaces where they come from
    elsewhere. A number is no name: it would be another user's the day that ids are given anew."""
    if isinstance(value, list) and all(_is_account(item) for item in value):
        return tuple(value)
    raise ValueError("a list of names of users or groups")


def _is_account(value: Any) -> bool:
    if not isinstance(value, str) or not 0 < len(value) <= ACCOUNT_MAX_CHARACTERS:
        return False
    return (
        value.isprintable() and ":" not in value and value.strip() == value and not value.isdigit()
    )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def address_or_none(value: Any) -> str:
    """One that can be bound and dialled, so not every address of the host."""
    if value == "":
        return ""
    try:
        found = ipaddress.IPv4Address(value if isinstance(value, str) else "")
    except ValueError:
        found = ipaddress.IPv4Address(0)
    if found.is_unspecified or found.is_multicast:
        raise ValueError("an IPv4 address of this host such as 192.0.2.7")
    return str(found)


def socket_url(value: Any) -> str:
    if value == "" or (
        isinstance(value, str) and value.startswith("unix:///") and value.isprintable()
    ):
        return str(value)
    raise ValueError("unix:///PATH")


def subnet(value: Any) -> str:
    try:
        return str(ipaddress.IPv4Network(value if isinstance(value, str) else ""))
    except ValueError:
        raise ValueError("an IPv4 network such as 10.213.0.0/16") from None


_RANGE_PREFIXES = (16, 29)


def service_range(value: Any) -> str:
    """All service addresses are one value in the store, which the size of the range bounds. What is somebody's on the internet no host would take."""
    allowed = "a private IPv4 network from /16 to /29 such as 10.214.0.0/16"
    try:
        found = subnet(value)
    except ValueError:
        raise ValueError(allowed) from None
    network = ipaddress.IPv4Network(found)
    if network.is_global or not _RANGE_PREFIXES[0] <= network.prefixlen <= _RANGE_PREFIXES[1]:
        raise ValueError(allowed)
    return found


def listener(value: Any) -> str:
    """`ADDRESS:PORT`; an IPv6 address stands in brackets."""
    found = _LISTENER.fullmatch(value) if isinstance(value, str) else None
    if found and _is_address(found["address"].strip("[]")) and 0 < int(found["port"]) < 65536:
        return str(value)
    raise ValueError("ADDRESS:PORT, such as 0.0.0.0:7442")


def number(least: int, most: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if type(value) is int and least <= value <= most:
            return int(value)
        raise ValueError(f"a whole number from {least} to {most}")

    return read


def choice(*allowed: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value in allowed:
            return str(value)
        raise ValueError(", ".join(allowed))

    return read


def size(least: int, most: int) -> Callable[[Any], int]:
    """Bytes, from a number of bytes or from text such as `64MiB`."""

    def read(value: Any) -> int:
        number = type(value) is int
        found = int(value) if number else in_bytes(value) if isinstance(value, str) else None
        if found is None or not least <= found <= most:
            bounds = f"from {compact(least)} to {compact(most)}"
            raise ValueError(f"a size {bounds}, such as {compact(most)}")
        return found

    return read


def duration(least_s: float, most_s: float) -> Callable[[Any], float]:
    """Seconds, from a number of seconds or from text such as `10s`, `5m`, `1h30m`."""

    def read(value: Any) -> float:
        number = type(value) in (int, float)
        seconds = float(value) if number else in_seconds(value) if isinstance(value, str) else None
        if seconds is None or not least_s <= seconds <= most_s:
            raise ValueError(f"a duration from {least_s:g}s to {most_s:g}s, such as 10s or 5m")
        return seconds

    return read
