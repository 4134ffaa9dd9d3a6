"""What people are told of a proxy that does all that it was told, and yet not all that was wanted of this host."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hullmark.agentd.problems import Problems
from hullmark.core.enumeration import several
from hullmark.core.members import is_needed
from hullmark.core.portconflicts import listed
from hullmark.launchers import start_proxy
from hullmark.model.directory import Admission, Directory, Peer, PublishedEntry, ServiceName
from hullmark.model.proxy import ContainerPort, Down
from hullmark.model.proxyplan import MOST_REFUSING, Applied, ProxyPlan

REFUSED, PORTS, UNREACHED = "proxy.refused", "proxy.ports", "proxy.unreached"
UNRECORDED, MISSING = "proxy.unrecorded", "proxy.missing"
UNANSWERED = "proxy.unanswered"
NONE = "has no proxy; services on other hosts, and published ports, need one"
DOWN = "has a proxy that does not run: {}; published ports, and services by their names, also those beside who calls, need it"
INSTALL = "install the package hullmark-proxy on this host, or start one: {}"
START = "start it: {}"
NAMED = 3


def show_missing(problems: Problems, directory: Directory, why: str) -> None:
    """`why` one doesn't run; empty: none is installed. A host where nobody needs it is as good without."""
    if is_needed(directory, is_installed=bool(why)):
        what, remedy = (DOWN.format(why), START) if why else (NONE, INSTALL)
        problems.set(MISSING, f"this host {what}", remedy.format(start_proxy()))
    else:
        problems.clear(MISSING)


def show_refused(
    problems: Problems, refused: tuple[Admission, ...], peers: Iterable[Peer] = ()
) -> None:
    """Each service once for each kind of caller, with the names of the hosts where those are."""
    if not refused:
        problems.clear(REFUSED)
        return
    names = {peer.host_id: peer.name for peer in peers}
    hosts: dict[tuple[str, str], list[str]] = {}
    for one in refused:
        scopes = " and ".join(scope or "a published port" for scope in one.scopes)
        hosts.setdefault((str(one.name), scopes), []).append(names.get(one.host_id, one.host_id))
    asked = [f"{key[0]} by {key[1]} of {listed(sorted(found))}" for key, found in hosts.items()]
    what = "services here are to be used by hosts that this host's policy turns away"
    problems.set(
        REFUSED,
        several(what, asked, NAMED),
        "have services.from changed by whoever keeps this host's policy, or `uses` and `ingress` of the app",
    )


def show_not_done(
    problems: Problems, not_here: tuple[PublishedEntry, ...], plan: ProxyPlan, applied: Applied
) -> None:
    """What there is of a plan in force that isn't as people would have it."""
    show_ports(problems, not_here, plan, applied)
    if not plan.unwatched:
        problems.clear(UNRECORDED)
        return
    problems.set(
        UNRECORDED,
        f"somebody is refused without a record here at {plan.unwatched} of the ports of service addresses: this host's proxy has {MOST_REFUSING}"
        " sockets for that, and this host's networks times the cluster's services are more",
        "fewer networks on this host: services of an app can share one, and apps can be on other hosts",
    )


def show_ports(
    problems: Problems, not_here: tuple[PublishedEntry, ...], plan: ProxyPlan, applied: Applied
) -> None:
    told = [
        *(f"{one.port} of {one.name}: not allowed by this host's policy" for one in not_here),
        *plan.left_out,
        *(f"{each}: a program of this host has it" for each in applied.left_out),
    ]
    if not told:
        problems.clear(PORTS)
        return
    problems.set(
        PORTS,
        several("published ports that do not answer here", told, NAMED),
        "who has a port: hullmark ports; what a policy allows: ports.published, as hullmark policy show HOST prints it;"
        " where an app's ports answer: `ingress` under x-hullmark",
    )


def show_unreached(problems: Problems, unreached: Sequence[tuple[Peer, Down, ServiceName]]) -> None:
    """Each host with what came of the newest look at it, and a service that it serves."""
    if not unreached:
        problems.clear(UNREACHED)
        return
    found = sorted(unreached, key=lambda one: (one[0].name, one[0].host_id))
    told = [f"{peer.name} at {_place(peer)} ({down.words})" for peer, down, _ in found]
    peer, down, service = found[0]
    then = "journalctl -u hullmark-proxy there, or its log in /var/log"
    if down.is_shut_out:
        command = f"hullmark ports --firewall nftables --host {peer.name}"
        then = f"what the firewall there has to let in: {command}"
    problems.set(
        UNREACHED,
        several("this host's proxy does not reach those of other hosts", told, NAMED),
        f"hullmark why {service}; {then}",
    )


def show_unanswered(
    problems: Problems, unanswered: Sequence[tuple[ContainerPort, Down, ServiceName]]
) -> None:
    """Each container and port with what came of the newest look at it."""
    if not unanswered:
        problems.clear(UNANSWERED)
        return
    told = [
        f"{place.container} on port {place.port} ({down.words})" for place, down, _ in unanswered
    ]
    service = unanswered[0][2]
    problems.set(
        UNANSWERED,
        several("containers here do not answer this host's proxy", told, NAMED),
        f"hullmark why {service}; does it listen on 0.0.0.0, and on the port that its app names? hullmark logs {service}",
    )


def _place(peer: Peer) -> str:
    address = f"[{peer.address}]" if ":" in peer.address else peer.address
    return f"{address}:{peer.port}"
