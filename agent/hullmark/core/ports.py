"""The ledger of host ports: what is declared beside what is open, and what the hosts' policies allow."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Optional, TypeVar

from hullmark.core import portrules
from hullmark.core.berths import Hold
from hullmark.core.portclaims import NO_MASTERS, Claim, Claims, Masters
from hullmark.core.portplaces import covers, name_of
from hullmark.core.proxypublished import LOOPBACK, places
from hullmark.core.serviceports import TCP
from hullmark.core.serviceview import host_state
from hullmark.model.app import EVERY_ADDRESS
from hullmark.model.host import PROXY, HostFacts, HostRecord, Listener
from hullmark.model.loopback import is_loopback
from hullmark.model.observed import HostState
from hullmark.model.orders import PublishedPort
from hullmark.model.ports import Holder, PortState, PortView
from hullmark.model.snapshot import Snapshot

EPHEMERAL_FROM = 32768
"""From here on the kernel usually gives ports away: of UDP ports hosts tell only those below, and a program that has such a TCP port has another
each time it is started."""
_ENGINES_OWN = ("docker-proxy", "rootlessport", "conmon", "dockerd")
"""What engines listen by: it may be for a container of ours that its host has not told of yet, but never in the proxy's place."""
_Item = TypeVar("_Item")
_Grouped = dict[tuple[int, str], list[_Item]]
"""By port and protocol: with a thousand published services there are many of both on each host."""


def ledger(
    snapshot: Snapshot, host: str = "", masters: Masters = NO_MASTERS
) -> tuple[PortView, ...]:
    """Every port that is declared or open, of one host or of all, in order. A port that the engine chose shows once its host
    has told it."""
    claims = Claims(snapshot, masters)
    found: set[PortView] = set()
    for host_id, record in snapshot.hosts.items():
        if host in ("", record.name):
            state = snapshot.observed.get(host_id)
            word = host_state(snapshot, host_id)
            told_s = None if state is None else snapshot.told_s(host_id)
            found.update(
                dataclasses.replace(view, host_state=word, told_s=told_s)
                for view in _of_host(state, record, claims)
            )
    return tuple(sorted(found, key=_place))


def _place(view: PortView) -> tuple[object, ...]:
    return view.host, view.port, view.protocol, view.address, view.kind.value, view.holder


def _of_host(state: Optional[HostState], host: HostRecord, claims: Claims) -> Iterator[PortView]:
    facts = None if state is None else state.facts
    declared: _Grouped[Claim] = defaultdict(list)
    for claim in claims.of(host):
        declared[claim.port.published, claim.port.protocol].append(claim)
    open_there: _Grouped[Listener] = defaultdict(list)
    for listener in () if facts is None else facts.listeners:
        open_there[listener.port, listener.protocol].append(listener)
    for key in {**declared, **open_there}:
        yield from _at(host.name, facts, declared.get(key, []), open_there.get(key, []))


def _at(
    host: str, facts: Optional[HostFacts], declared: Sequence[Claim], there: Sequence[Listener]
) -> Iterator[PortView]:
    """Of one number: what is declared, and what is open."""
    for claim in declared:
        # Made by an older version, its container has the port from its engine until it is replaced.
        former = any(one.open and _same(one.port, claim.port) for one in declared)
        mine = [one for one in there if _same(claim.port, _port(one))]
        for placed, seen in _placed(claim, mine):
            yield _claimed(host, placed, facts, seen, engine=former)
    for listener in there:
        if facts is not None and not any(_may_be_of(listener, claim) for claim in declared):
            yield _found(host, listener, facts)


def _placed(claim: Claim, there: Sequence[Listener]) -> Iterator[tuple[Claim, Sequence[Listener]]]:
    """A master's port with each address that it is seen to listen on: which ones its own configuration says, and agents need not call all of them."""
    seen = [one for one in there if claim.kind is Holder.MASTER and _is_of(one, claim)]
    for one in seen:
        port = dataclasses.replace(claim.port, host_ip=one.address)
        yield dataclasses.replace(claim, port=port), [one]
    if not seen:
        yield claim, there


def _claimed(
    host: str,
    claim: Claim,
    facts: Optional[HostFacts],
    there: Sequence[Listener],
    *,
    engine: bool,
) -> PortView:
    """`there`: what listens on that very port."""
    listening, by = _listening(claim, facts, there, engine=engine)
    rules = None if facts is None else facts.port_rules
    port, allowed = claim.port, None
    if rules is not None and claim.app:
        allowed = portrules.allows(
            rules, claim.app, claim.service, port.published, port.protocol, port.host_ip
        )
    taken = listening is False and bool(by)
    return PortView(
        host,
        port.published,
        port.protocol,
        _address(port.host_ip),
        claim.kind,
        claim.holder,
        port.target,
        declared=claim.declared,
        listening=listening,
        by=by,
        allowed=allowed,
        state=_state(claim, allowed, listening, taken=taken),
    )


def _state(
    claim: Claim, allowed: Optional[bool], listening: Optional[bool], *, taken: bool
) -> PortState:
    if not claim.declared:
        return PortState.UNDECLARED
    if allowed is False:
        return PortState.NOT_ALLOWED
    if claim.kind is Holder.REMOVING:
        return PortState.OK
    if taken:
        return PortState.TAKEN
    if listening is None:
        return PortState.UNKNOWN
    return PortState.OK if listening else PortState.NOT_LISTENING


def _listening(
    claim: Claim, facts: Optional[HostFacts], there: Sequence[Listener], *, engine: bool
) -> tuple[Optional[bool], str]:
    """Whether what is meant listens, and what does: False with a name is somebody else's."""
    if facts is None:
        return None, ""
    if claim.open or (engine and claim.kind is Holder.SERVICE):
        return True, facts.engine
    mine = [one for one in there if _is_of(one, claim)]
    others = [one for one in there if _is_proxys(claim) or one.process not in _ENGINES_OWN]
    if mine and claim.kind is Holder.SERVICE:
        return _by_address(claim, facts, mine, others)
    if mine:
        return True, mine[0].process
    if any(_may_be_of(one, claim) for one in others):
        return None, ""
    if others:
        return False, name_of(others[0]) or "another process"
    if claim.open is not None:
        return False, ""
    port = claim.port
    told = facts.listeners and (port.protocol == TCP or port.published < EPHEMERAL_FROM)
    return (False if told else None), ""


def _by_address(
    claim: Claim, facts: HostFacts, mine: Sequence[Listener], others: Sequence[Listener]
) -> tuple[Optional[bool], str]:
    """Of a port that the proxy has somewhere: it leaves out each address that another program has. What it has on loopback beside the others is not
    told by hosts, so there only the other program is seen."""
    lacking = [
        address
        for address in places(claim.port.host_ip, facts.addresses)
        if address != LOOPBACK and not any(covers(one, address) for one in mine)
    ]
    for one in others:
        is_there = one.address == LOOPBACK or any(covers(one, address) for address in lacking)
        if is_there and name_of(one) and one not in mine:
            return False, name_of(one)
    return (None if lacking else True), mine[0].process


def _is_proxys(claim: Claim) -> bool:
    return claim.kind in (Holder.SERVICE, Holder.PROXY)


def _is_of(listener: Listener, claim: Claim) -> bool:
    """Whether it listens for what declared the port."""
    if not _same(claim.port, _port(listener)):
        return False
    if claim.container:
        return listener.container == claim.container
    if _is_proxys(claim):
        return listener.process == PROXY
    if claim.kind is Holder.MASTER:
        return not listener.container
    return bool(claim.open) or listener.process in _ENGINES_OWN


def _may_be_of(listener: Listener, claim: Claim) -> bool:
    """A process that can't be told may be the proxy: agents do not take one that was just started for another program."""
    unseen = _is_proxys(claim) and not (listener.process or listener.container)
    return _is_of(listener, claim) or (unseen and _same(claim.port, _port(listener)))


def _found(host: str, listener: Listener, facts: HostFacts) -> PortView:
    """Of what listens where it declared nothing."""
    port, protocol = listener.port, listener.protocol
    kind, holder, allowed = Holder.PROCESS, listener.process, None
    state = PortState.UNDECLARED
    if listener.container:
        kind, holder = Holder.CONTAINER, listener.container
    elif listener.process == PROXY:
        kind = Holder.PROXY
    else:
        state = PortState.OK
        if port < EPHEMERAL_FROM or not is_loopback(listener.address):
            allowed = portrules.approves(facts.port_rules, port, protocol)
            state = PortState.NOT_ALLOWED if allowed is False else PortState.OK
    return PortView(
        host,
        port,
        protocol,
        _address(listener.address),
        kind,
        holder,
        listening=True,
        by=listener.process,
        allowed=allowed,
        state=state,
    )


def _port(listener: Listener) -> PublishedPort:
    return PublishedPort(0, listener.port, listener.protocol, listener.address)


def _same(mine: PublishedPort, other: PublishedPort) -> bool:
    return Hold(mine, None, "").clashes(other)


def _address(text: str) -> str:
    return "" if text in EVERY_ADDRESS else text
