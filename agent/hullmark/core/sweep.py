"""The first step of a plan: what of the hosts' orders stands, what has to go, and which slots need another
instance although they have one.

A slot may have several: an older one beside its successor, one on a host that is drained, one on a host that is
lost, one that an operator told to leave. `fates` says what becomes of each; then at most one instance
of the wanted generation and one older one stay.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Optional

from hullmark.core import absence
from hullmark.core.berths import Obstacle
from hullmark.core.draft import (
    Draft,
    Pending,
    Post,
    Slot,
    Unplaced,
    accepted_state,
    all_assignments,
    slot_of,
)
from hullmark.core.fates import (
    Fate,
    fate_of,
    has_ended,
    home_of,
    is_current,
    is_given_up,
    why_kept,
)
from hullmark.core.placement import refusals
from hullmark.core.wishes import Wish
from hullmark.model.app import DeployMode
from hullmark.model.orders import Assignment, Tombstone

Wishes = Mapping[tuple[str, str], Wish]

TAKEN = "its slot is taken on another host"


def sweep(draft: Draft, wishes: Wishes) -> None:
    """Fill the draft: tombstones that are still needed, assignments that stay, and a tombstone
    for each assignment that doesn't."""
    _keep_tombstones(draft, wishes)
    slots: dict[Slot, list[Post]] = defaultdict(list)
    for host_id, assignment in all_assignments(draft.snapshot):
        slots[slot_of(assignment.instance)].append(Post(host_id, assignment))
    for slot in sorted(slots):
        app, service, number = slot
        wish = wishes.get((app, service))
        if wish is not None and not _is_too_many(wish, number):
            _settle(draft, wish, number, slots[slot])
            continue
        for post in slots[slot]:
            reason = _reason_to_go(draft, wish, app)
            if reason:
                draft.retire(post, reason)
            else:
                draft.assign(post.host_id, post.assignment)
    _empty_drained_hosts(draft, wishes)


def _keep_tombstones(draft: Draft, wishes: Wishes) -> None:
    for host_id, orders in sorted(draft.snapshot.assignments.items()):
        state = accepted_state(draft.snapshot, host_id)
        for tombstone in orders.tombstones:
            name = tombstone.instance.container_name
            if state is not None and name not in state.instances and name not in state.orphans:
                continue
            wish = wishes.get((tombstone.instance.app, tombstone.instance.service))
            given_up = wish is not None and _is_tombstone_given_up(draft, wish, host_id, tombstone)
            draft.bury(host_id, tombstone, awaited=not given_up)


def _is_tombstone_given_up(draft: Draft, wish: Wish, host_id: str, tombstone: Tombstone) -> bool:
    """An agent that got it stops the instance; one that didn't still has what it was told before."""
    former = Assignment(tombstone.instance, "", stop_unheard_s=tombstone.stop_unheard_s)
    post = Post(host_id, former)
    return is_given_up(draft, wish, post, home_of(draft, wish, post))


def _is_too_many(wish: Wish, slot: int) -> bool:
    deploy = wish.service.deploy
    return deploy.mode is DeployMode.REPLICATED and slot > deploy.replicas


def _reason_to_go(draft: Draft, wish: Optional[Wish], app: str) -> str:
    """Why an instance must go that nobody wants. An app's record goes only after all its instances have
    tombstones: one without a record is a fault of ours, and no reason to stop anything."""
    if wish is not None:
        return f"scaled to {wish.service.deploy.replicas}"
    record = draft.snapshot.apps.get(app)
    if record is None:
        return ""
    return "the app was removed" if record.removing else "the service was removed"


def _settle(draft: Draft, wish: Wish, slot: int, posts: Sequence[Post]) -> None:
    """What becomes of one slot's instances."""
    _note_home(draft, wish, slot, posts)
    groups: dict[tuple[bool, Fate], list[Post]] = defaultdict(list)
    for post in _one_outdated_generation(draft, wish, posts):
        fate = fate_of(draft, wish, post)
        if fate is not None:
            groups[is_current(wish, post), fate].append(_updated(draft, wish, post))
    current = _best(draft, wish, groups[True, Fate.STAYS])
    outdated = _best(draft, wish, groups[False, Fate.STAYS])
    if current is not None:
        _keep_current(draft, wish, slot, current, outdated, groups)
        return
    begun = any(groups[True, fate] for fate in Fate)
    replace = begun or slot in wish.pace.replace or wish.one_shot
    order = wish.update.order
    held = outdated and draft.line.holds(wish.record, wish.name, outdated.host_id, order)
    if outdated is not None and replace and not wish.start_first and not held:
        draft.retire(outdated, f"replaced by generation {wish.generation}")
        outdated = None
    elif outdated is not None and not begun and slot not in wish.pace.replace:
        _keep_outdated(draft, wish, slot, outdated, groups)
        return
    lost, draining, leaving = (
        tuple(groups[True, fate] + groups[False, fate])
        for fate in (Fate.LOST, Fate.DRAINS, Fate.LEAVES)
    )
    found = lost + draining + leaving
    copy = None if replace or not found else found[0].assignment
    beside = () if outdated is None else (outdated,)
    pending = Pending(copy, beside, lost, draining, leaving)
    for post in pending.posts:
        draft.assign(post.host_id, post.assignment)
    if pending.posts:
        draft.pending[wish.app, wish.name][slot] = pending


def _note_home(draft: Draft, wish: Wish, slot: int, posts: Sequence[Post]) -> None:
    """Of a slot that had its instance before homes were remembered, or before it had data: a move that waits, and on
    which nobody said that data may be lost, is over then."""
    home = draft.homes.find(wish.app, wish.name, slot)
    if wish.keeps_home and home is not None and home.leave and not home.accepts_loss:
        draft.homes.take_back(wish.app, wish.name, slot)
        home = None
    if wish.keeps_home and home is None:
        best = max(posts, key=lambda post: (draft.serves(post), is_current(wish, post)))
        draft.homes.settle(wish.app, wish.name, wish.service, slot, best.host_id)


def _keep_current(
    draft: Draft,
    wish: Wish,
    slot: int,
    current: Post,
    outdated: Optional[Post],
    groups: Mapping[tuple[bool, Fate], Sequence[Post]],
) -> None:
    """The slot has what is wanted; others go as soon as they may."""
    _keep(draft, wish, slot, current)
    _let_go(draft, wish, current, groups)
    if outdated is not None:
        if slot in wish.pace.retire or not wish.start_first:
            draft.retire(outdated, f"replaced by generation {wish.generation}")
        else:
            draft.assign(outdated.host_id, outdated.assignment)


def _keep_outdated(
    draft: Draft,
    wish: Wish,
    slot: int,
    outdated: Post,
    groups: Mapping[tuple[bool, Fate], Sequence[Post]],
) -> None:
    """The slot's turn to be replaced has not come, or it can't be on its host."""
    _keep(draft, wish, slot, outdated)
    held = draft.line.holds(wish.record, wish.name, outdated.host_id, wish.update.order)
    if held is not None and absence.is_ready(draft.snapshot, outdated.host_id):
        draft.unplaced.append(_held(draft, wish, slot, outdated, held))
    _let_go(draft, wish, outdated, groups)


def _keep(draft: Draft, wish: Wish, slot: int, post: Post) -> None:
    draft.assign(post.host_id, post.assignment)
    draft.used[wish.app, wish.name].add(slot)
    draft.homes.settle(wish.app, wish.name, wish.service, slot, post.host_id)
    why = why_kept(draft, wish, post)
    if why:
        name = draft.host_name(post.host_id)
        generation = post.instance.generation
        draft.unplaced.append(Unplaced(wish.app, wish.name, slot, generation, (why,), (), name))


def _held(draft: Draft, wish: Wish, slot: int, post: Post, held: Obstacle) -> Unplaced:
    name = draft.host_name(post.host_id)
    found = refusals(draft, {post.host_id: held})
    why = f"generation {wish.generation} waits, and the former runs on; elsewhere: {held.group}{held.detail}"
    return Unplaced(wish.app, wish.name, slot, post.instance.generation, (why,), found, name)


def _let_go(
    draft: Draft,
    wish: Wish,
    stays: Post,
    groups: Mapping[tuple[bool, Fate], Sequence[Post]],
) -> None:
    """Those of a slot's instances for which there is another now."""
    where = draft.host_name(stays.host_id)
    serves = draft.serves(stays)
    under_way = False
    for (_, fate), posts in groups.items():
        for post in posts if fate is not Fate.STAYS else ():
            here = draft.host_name(post.host_id)
            if fate is Fate.LOST:
                draft.retire(post, f"{here} was lost; it runs on {where}", abandoned=True)
            elif fate is Fate.DRAINS and not serves:
                draft.assign(post.host_id, post.assignment)
                under_way = True
            else:
                verb = _drained(draft, post) if fate is Fate.DRAINS else "is left"
                draft.retire(post, f"{here} {verb}; it runs on {where}")
    draft.under_way[wish.app, wish.name] += under_way


def _drained(draft: Draft, post: Post) -> str:
    drains = absence.is_draining(draft.snapshot, post.host_id)
    return "is drained" if drains else "does not prove what the mark asks for"


def _best(draft: Draft, wish: Wish, posts: Sequence[Post]) -> Optional[Post]:
    """The one that stays of several that could; the others get tombstones."""
    if len(posts) < 2:
        return posts[0] if posts else None
    home = home_of(draft, wish, posts[0])
    at_home = home.host_id if home is not None and not home.leave else ""

    def worth(post: Post) -> tuple[bool, bool, bool]:
        ready = absence.is_ready(draft.snapshot, post.host_id)
        return post.host_id == at_home, draft.serves(post), ready

    best = max(posts, key=worth)
    for post in posts:
        if post is not best:
            away = not absence.is_ready(draft.snapshot, post.host_id)
            draft.retire(post, TAKEN, abandoned=away)
    return best


def _one_outdated_generation(draft: Draft, wish: Wish, posts: Sequence[Post]) -> Sequence[Post]:
    """Without the older ones of a slot that was changed twice before its first successor served."""
    outdated = [post for post in posts if not is_current(wish, post)]
    if len({post.instance.generation for post in outdated}) < 2:
        return posts
    best = max(outdated, key=lambda post: (draft.serves(post), -post.instance.generation))
    kept = []
    for post in posts:
        if is_current(wish, post) or post.instance.generation == best.instance.generation:
            kept.append(post)
        else:
            given_up = is_given_up(draft, wish, post, home_of(draft, wish, post))
            draft.retire(post, f"replaced by generation {wish.generation}", abandoned=given_up)
    return kept


def _updated(draft: Draft, wish: Wish, post: Post) -> Post:
    """With what its agent is to know of `on_host_lost`. One that can't be told keeps what it was told: what is
    concluded from its silence rests on that."""
    said = post.assignment.stop_unheard_s
    if said == wish.stop_unheard_s or not absence.is_ready(draft.snapshot, post.host_id):
        return post
    told = dataclasses.replace(post.assignment, stop_unheard_s=wish.stop_unheard_s)
    return Post(post.host_id, told)


def _empty_drained_hosts(draft: Draft, wishes: Wishes) -> None:
    """What runs on every host goes last from one that is drained: once nothing else runs there."""
    for host_id in draft.berths:
        ready = absence.is_ready(draft.snapshot, host_id)
        if draft.brake is not None or not ready or not absence.is_draining(draft.snapshot, host_id):
            continue
        posts = [Post(host_id, item) for item in draft.assignments[host_id].values()]
        going = [Post(host_id, Assignment(item, "")) for item in draft.tombstones[host_id]]
        if any(_is_left(draft, wishes, post) for post in (*posts, *going)):
            continue
        draft.emptied.add(host_id)
        for post in posts:
            wish = wishes.get((post.instance.app, post.instance.service))
            if wish is not None and wish.is_global:
                draft.retire(post, "its host is drained")


def _is_left(draft: Draft, wishes: Wishes, post: Post) -> bool:
    """Neither one of those that run on every host, nor a job that is over."""
    wish = wishes.get((post.instance.app, post.instance.service))
    return wish is None or not (wish.is_global or has_ended(draft, wish, post))
