"""Why a service can't be reached: the way from the command to the port, link by link.

GET    /v1/apps/APP/why   ?service=&caller=   -> Why
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from hullmark.model.services import Spot


class Found(enum.Enum):
    """What was found of a link."""

    OK = "ok"
    BROKEN = "broken"
    UNKNOWN = "unknown"


class Step(enum.Enum):
    """The links, in the order in which they are walked."""

    COMMAND = "command"
    MASTER = "master"
    STORE = "store"
    APP = "app"
    RIGHT = "right"
    CALLER = "caller"
    PLACEMENT = "placement"
    AGENT = "agent"
    ORDERS = "orders"
    ENGINE = "engine"
    CONTAINER = "container"
    ADDRESS = "address"
    NAMES = "names"
    PROXY = "proxy"
    DIRECTORY = "directory"
    MEMBERS = "members"
    BETWEEN = "between hosts"
    PUBLISHED = "published port"
    FIREWALL = "firewall"


class Verdict(enum.Enum):
    """`degraded`: a part of it is broken, and there is a way that isn't."""

    OK = "ok"
    DEGRADED = "degraded"
    BROKEN = "broken"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Link:
    """One link, of hosts that are alike in it (none named: it is no host's). `next` is the next command to type, as it is, empty where there is
    none: what else is to be done is in `text`. `there`: on one of those hosts. `next_on`: the host to type it on, empty where it is any
    machine. `partly`: it is broken, and others like it are not."""

    step: Step
    found: Found
    text: str
    next: str = ""
    hosts: tuple[str, ...] = ()
    there: bool = False
    partly: bool = False
    next_on: str = ""


@dataclass(frozen=True)
class ServiceWhy:
    """`spots`: where its published TCP ports answer, for a caller to try. `hints`: what nobody here can see, and where to look."""

    service: str
    verdict: Verdict
    links: tuple[Link, ...] = ()
    spots: tuple[Spot, ...] = ()
    hints: tuple[str, ...] = ()


@dataclass(frozen=True)
class Why:
    """`links` are of all of the app's services alike. `first` is the first broken link of all, as one line, `next` and `next_on` what to
    type and on which host, as a link has them. `caller`: the service, `APP/SERVICE`, whose way it is; empty: that of all who call."""

    app: str
    verdict: Verdict
    links: tuple[Link, ...] = ()
    services: tuple[ServiceWhy, ...] = ()
    first: str = ""
    next: str = ""
    caller: str = ""
    next_on: str = ""
