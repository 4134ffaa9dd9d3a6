"""What commands are aimed at: `APP`, `APP/SERVICE`, `APP/SERVICE.SLOT`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hullmark.cli.words import whole_number
from hullmark.errors import UsageError
from hullmark.model.names import APP_NAME, HOST_NAME, SERVICE_NAME

FORMS = "APP, APP/SERVICE or APP/SERVICE.SLOT, such as shop/web.1"
SERVICE_FORMS = "APP or APP/SERVICE, such as shop/web"


@dataclass(frozen=True)
class Target:
    """`service` empty: all of the app. `slot` 0: all of the service."""

    app: str
    service: str = ""
    slot: int = 0


def parse(text: str, forms: str = FORMS) -> Target:
    """`forms`: those that are taken, for who gave none. Raises UsageError. What follows the last dot is a slot if it is a number above 0."""
    app, slash, rest = text.partition("/")
    service, dot, last = rest.rpartition(".")
    number = whole_number(last)
    if not (dot and number and SERVICE_NAME.fullmatch(service)):
        service, number = rest, 0
    if APP_NAME.fullmatch(app) and (SERVICE_NAME.fullmatch(service) if slash else not rest):
        return Target(app, service, number)
    raise UsageError(
        f"not a target: {text[:120]!r}",
        remedy=forms,
    )


def app_name(text: str) -> str:
    """Raises UsageError."""
    if APP_NAME.fullmatch(text):
        return text
    raise UsageError(f"not an app's name: {text[:120]!r}", remedy="hullmark apps lists them")


def host_names(texts: Iterable[str]) -> tuple[str, ...]:
    """Each once. Raises UsageError."""
    return tuple(dict.fromkeys(map(host_name, texts)))


def host_name(text: str) -> str:
    """Raises UsageError."""
    if HOST_NAME.fullmatch(text):
        return text
    raise UsageError(
        f"not a host's name: {text[:120]!r}", remedy="lower-case letters, digits, hyphens and dots"
    )
