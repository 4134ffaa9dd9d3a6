"""The second step of a plan: each slot of a service that needs an instance gets a host, or is explained."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Optional

from hullmark.core import absence
from hullmark.core.berths import Filter, Obstacle
from hullmark.core.draft import Draft, Pending, Post, Unplaced
from hullmark.core.placement import Found, Obstacles, Search, Wanted, lines, refusals
from hullmark.core.serviceports import by_proxy
from hullmark.core.wishes import Wish
from hullmark.model.app import PortMode, PortSpec
from hullmark.model.orders import Assignment, InstanceId

_NOTHING = Pending()


def place(draft: Draft, wish: Wish) -> None:
    """Every slot of the service that needs an instance."""
    if wish.is_global:
        _place_global(draft, wish)
    else:
        _place_replicated(draft, wish)


def _place_replicated(draft: Draft, wish: Wish) -> None:
    app, name = wish.app, wish.name
    used, pending = draft.used[app, name], draft.pending[app, name]
    search = Search(draft, wish, draft.berths)
    stuck: Optional[Unplaced] = None
    if any(item.leaving or (item.draining and wish.runs_once) for item in pending.values()):
        draft.under_way[app, name] += _between(draft, wish)
    for slot in range(1, wish.service.deploy.replicas + 1):
        if slot in used:
            continue
        plain = slot not in pending and not draft.leaving.get((app, name, slot))
        plain = plain and not wish.keeps_home and draft.homes.find(app, name, slot) is None
        if stuck is not None and plain:
            # Nothing was placed since: what kept the former slot off every host keeps this one too.
            draft.unplaced.append(dataclasses.replace(stuck, slot=slot))
            continue
        unplaced = _place_slot(draft, wish, search, slot, pending.get(slot, _NOTHING))
        stuck = unplaced if plain else None
        if unplaced is not None:
            draft.unplaced.append(unplaced)


def _between(draft: Draft, wish: Wish) -> int:
    """How many slots of the service have left a host, and do not serve anywhere yet."""
    key = wish.app, wish.name
    nowhere = sum(
        1
        for slot in range(1, wish.service.deploy.replicas + 1)
        if slot not in draft.used[key]
        and slot not in draft.pending[key]
        and draft.leaving.get((*key, slot))
    )
    return nowhere + sum(
        draft.comes_up(Post(host_id, item))
        for host_id in draft.serves_on[key]
        for item in draft.assignments[host_id].values()
        if (item.instance.app, item.instance.service) == key
        and item.instance.slot in draft.used[key]
    )


def _place_global(draft: Draft, wish: Wish) -> None:
    """One instance on each host that fits. Slots are only names here; a host keeps the one it had."""
    app, name = wish.app, wish.name
    search = Search(draft, wish, draft.berths)
    for slot, pending in sorted(draft.pending[app, name].items()):
        _follow_on_host(draft, wish, slot, pending)
    misfits: dict[str, Obstacle] = {}
    tried: set[int] = set()
    formers = _former_slots(draft, wish)
    for host_id, berth in draft.berths.items():
        if host_id in draft.serves_on[app, name]:
            continue
        had = 0 if host_id in draft.emptied else formers.get(host_id, 0)
        misfit = search.misfit(host_id)
        if misfit is None and not had:
            misfit = search.closed(host_id) or search.marked(host_id)
        if misfit is not None:
            misfits[host_id] = misfit
            continue
        slot = had or _free_slot(draft, wish, tried)
        tried.add(slot)
        unplaced = _place_slot(draft, wish, Search(draft, wish, {host_id: berth}), slot, _NOTHING)
        if unplaced is not None:
            draft.unplaced.append(unplaced)
    if not draft.serves_on[app, name] and len(misfits) == len(draft.berths):
        draft.unplaced.append(_unplaced(draft, wish, 0, wish.generation, misfits))


def _follow_on_host(draft: Draft, wish: Wish, slot: int, pending: Pending) -> None:
    """A successor beside the one that it follows."""
    for post in pending.posts:
        berth = draft.berths.get(post.host_id)
        if berth is not None:
            search = Search(draft, wish, {post.host_id: berth})
            unplaced = _place_slot(draft, wish, search, slot, pending)
            if unplaced is not None:
                draft.unplaced.append(unplaced)


def _former_slots(draft: Draft, wish: Wish) -> dict[str, int]:
    """For each host the lowest slot of the service whose former instance goes from it, and from
    nowhere else."""
    found: dict[str, int] = {}
    used = draft.used[wish.app, wish.name]
    for (owner, name, slot), hosts in sorted(draft.leaving.items()):
        if (owner, name) == (wish.app, wish.name) and len(hosts) == 1 and slot not in used:
            found.setdefault(next(iter(hosts)), slot)
    return found


def _free_slot(draft: Draft, wish: Wish, tried: set[int]) -> int:
    key = wish.app, wish.name
    taken = draft.used[key] | draft.pending[key].keys() | tried
    slot = 1
    while slot in taken or draft.leaving.get((*key, slot)):
        slot += 1
    return slot


def _place_slot(
    draft: Draft, wish: Wish, search: Search, slot: int, pending: Pending
) -> Optional[Unplaced]:
    """Give the slot its instance, or say why not."""
    going = pending.draining + pending.leaving
    if going and not pending.lost:
        most = wish.service.deploy.update.parallelism
        serves = not pending.leaving or any(draft.serves(post) for post in going)
        if most and serves and draft.under_way[wish.app, wish.name] >= most:
            return None  # its turn comes; it serves where it is until then
        if wish.runs_once and not pending.leaving:
            pending = dataclasses.replace(pending, draining=(), leaving=pending.draining)
    wanted = _wanted(draft, wish, slot, pending)
    found = search.find(wanted)
    instance = InstanceId(wish.app, wish.name, slot, wish.generation)
    if pending.copy is not None:
        instance = pending.copy.instance
    if not isinstance(found, Found):
        return _stuck(draft, wish, instance, pending, found)
    if pending.leaving:
        # It gets its new place once it is gone from here; until then that is why it has none.
        return _let_go(draft, wish, search, slot, pending)
    _put(draft, wish, instance, pending, found)
    return None


def _put(draft: Draft, wish: Wish, instance: InstanceId, pending: Pending, found: Found) -> None:
    spec_hash = wish.record.spec_hashes[wish.name]
    if pending.copy is not None:
        spec_hash = pending.copy.spec_hash
    # Nothing is released before the plan's own step for it has seen all of the plan.
    assignment = Assignment(instance, spec_hash, found.ports, False, wish.stop_unheard_s)
    draft.assign(found.host_id, assignment)
    draft.used[wish.app, wish.name].add(instance.slot)
    draft.homes.settle(wish.app, wish.name, wish.service, instance.slot, found.host_id)
    where = draft.host_name(found.host_id)
    for post in pending.lost:
        here = draft.host_name(post.host_id)
        draft.retire(post, f"{here} was lost; it runs on {where}", abandoned=True)
    draft.under_way[wish.app, wish.name] += bool(pending.draining)


def _wanted(draft: Draft, wish: Wish, slot: int, pending: Pending) -> Wanted:
    former = {} if pending.leaving else draft.leaving.get((wish.app, wish.name, slot), {})
    avoided = dict(_avoided(draft, wish, slot, pending))
    return Wanted(slot, _specs(wish, pending), former, avoided, bool(pending.beside))


def _let_go(
    draft: Draft, wish: Wish, search: Search, slot: int, pending: Pending
) -> Optional[Unplaced]:
    """Of instances that go before their slot gets another. That there is a place for it has been seen."""
    for post in pending.leaving:
        home = draft.homes.find(wish.app, wish.name, slot)
        moved = home is not None and home.leave == post.host_id
        drained = absence.is_draining(draft.snapshot, post.host_id)
        why = "its host is drained" if drained else "its host does not prove what the mark asks for"
        draft.retire(post, "an operator moves it" if moved else why)
    draft.under_way[wish.app, wish.name] += 1
    return _place_slot(draft, wish, search, slot, dataclasses.replace(pending, leaving=()))


def _specs(wish: Wish, pending: Pending) -> tuple[PortSpec, ...]:
    """What ports it wants; of a copy, those that it has."""
    if pending.copy is None:
        return wish.ports
    proxied = {(port.target, port.protocol) for port in by_proxy(wish.service.ports)}
    return tuple(
        PortSpec(
            port.target,
            port.published,
            port.published,
            port.protocol,
            port.host_ip,
            PortMode.HOST,
        )
        for port in pending.copy.ports
        # An older version had the engine bind these too.
        if (port.target, port.protocol) not in proxied
    )


def _avoided(
    draft: Draft, wish: Wish, slot: int, pending: Pending
) -> Iterator[tuple[str, Obstacle]]:
    for post in (*pending.lost, *pending.draining, *pending.leaving):
        # Its own state says why; where that has changed since, it is still not where to go.
        yield post.host_id, _own_state(draft, wish, post.host_id)
    home = draft.homes.find(wish.app, wish.name, slot)
    if home is not None and home.leave:
        yield home.leave, Obstacle(Filter.DATA, "an operator moves it away from here")


def _own_state(draft: Draft, wish: Wish, host_id: str) -> Obstacle:
    if absence.is_draining(draft.snapshot, host_id):
        return Obstacle(Filter.AVAILABILITY, "draining")
    marked = draft.line.obstacle(wish.app, wish.service, host_id)
    if marked is not None and draft.line.leaves(wish.app, wish.service, host_id):
        return marked
    heard_s = draft.snapshot.told_s(host_id)
    if heard_s is None:
        heard_s = absence.silence_s(draft.snapshot, host_id)
    return Obstacle(Filter.ABSENCE, "silent", f" for {heard_s:.0f} s", -heard_s)


def _stuck(
    draft: Draft, wish: Wish, instance: InstanceId, pending: Pending, obstacles: Obstacles
) -> Unplaced:
    """Of a slot whose instances stay, because there is no other place for it."""
    slot, posts = instance.slot, pending.posts
    if not posts:
        return _unplaced(draft, wish, slot, instance.generation, obstacles)
    name = draft.host_name(posts[0].host_id)
    if pending.lost:
        host_id = pending.lost[0].host_id
        gone = absence.is_gone(draft.snapshot, host_id)
        why = f"its host {draft.host_name(host_id)} {'was removed' if gone else 'is lost'}"
    elif pending.draining and not absence.is_draining(draft.snapshot, posts[0].host_id):
        why = f"its host {name} does not prove what the mark asks for"
    elif pending.draining:
        why = f"its host {name} is draining"
    elif pending.leaving and not absence.is_draining(draft.snapshot, posts[0].host_id):
        why = f"an operator moves it away from {name}"
    elif pending.leaving:
        why = f"its host {name} is draining"
    else:
        why = f"generation {instance.generation} has to start before the former on {name} stops"
    own = {post.host_id for post in (*pending.lost, *pending.draining, *pending.leaving)}
    others = {host_id: item for host_id, item in obstacles.items() if host_id not in own}
    found = _unplaced(draft, wish, slot, posts[0].instance.generation, others)
    first = f"{why}; elsewhere: {found.reasons[0]}" if others else f"{why}; there is no other host"
    return dataclasses.replace(found, reasons=(first, *found.reasons[1:]), kept_on=name)


def _unplaced(
    draft: Draft, wish: Wish, slot: int, generation: int, obstacles: Obstacles
) -> Unplaced:
    found = refusals(draft, obstacles)
    return Unplaced(wish.app, wish.name, slot, generation, lines(draft, found), found)
