"""Fates: what becomes of one instance, by what is wanted of its service and by the state of its host."""

from __future__ import annotations

import enum
from typing import Optional

from hullmark.core import absence
from hullmark.core.berths import Filter
from hullmark.core.draft import Draft, Post
from hullmark.core.wishes import Wish
from hullmark.model.app import HostLoss
from hullmark.model.observed import Phase
from hullmark.model.records import Home


class Fate(enum.Enum):
    STAYS = "stays"
    LOST = "lost"  # goes once its slot has another, which need not serve
    DRAINS = "drains"  # goes once its slot has another that serves
    LEAVES = "leaves"  # goes before its slot gets another


def is_current(wish: Wish, post: Post) -> bool:
    return post.instance.generation == wish.generation


def home_of(draft: Draft, wish: Wish, post: Post) -> Optional[Home]:
    """Of a service that runs on every host no slot is at home anywhere."""
    if wish.is_global:
        return None
    return draft.homes.find(wish.app, wish.name, post.instance.slot)


def fate_of(draft: Draft, wish: Wish, post: Post) -> Optional[Fate]:
    """None: it has got a tombstone."""
    home = home_of(draft, wish, post)
    if wish.is_global and absence.is_gone(draft.snapshot, post.host_id):
        draft.retire(post, "its host was removed")
        return None
    leaves = home is not None and home.leave == post.host_id
    # Whether a job on a lost host is over may not be known; an operator who moves it says that it isn't.
    is_over = has_completed if leaves else has_ended
    if is_given_up(draft, wish, post, home) and not is_over(draft, wish, post):
        return Fate.LOST
    heard = absence.is_ready(draft.snapshot, post.host_id)
    heard = heard and not absence.is_quiet(draft.snapshot, post.host_id)
    if not heard or draft.brake is not None:
        return Fate.STAYS
    if leaves and not has_completed(draft, wish, post):
        return Fate.LEAVES
    drains = absence.is_draining(draft.snapshot, post.host_id)
    drains = drains or draft.line.leaves(wish.app, wish.service, post.host_id)
    if drains and wish.may_move and not wish.one_shot:
        return Fate.DRAINS
    reason = _superfluous(draft, wish, post)
    # One that runs on every host has no successor where it does not fit: it is no turn that it waits for.
    if not reason and (is_current(wish, post) or wish.is_global):
        reason = _misplaced(draft, wish, post)
    if reason:
        draft.retire(post, reason)
        return None
    return Fate.STAYS


def is_given_up(draft: Draft, wish: Wish, post: Post, home: Optional[Home]) -> bool:
    """Whether its slot may run elsewhere although nobody can say that this one ended."""
    snapshot, host_id = draft.snapshot, post.host_id
    leaves = home is not None and home.leave == host_id
    if absence.is_gone(snapshot, host_id):
        return leaves or wish.may_move
    if draft.brake is not None or absence.in_maintenance(snapshot, host_id):
        return False
    if absence.observes(snapshot, host_id) and not leaves:
        return False
    silence_s = absence.silence_s(snapshot, host_id)
    after_s = wish.given_up_after_s(post.assignment)
    if leaves:
        # The word is on its data. Where its agent stops it, that is waited for all the same.
        return silence_s > (snapshot.lost_after_s if after_s is None else after_s)
    return wish.may_move and after_s is not None and silence_s > after_s


def has_ended(draft: Draft, wish: Wish, post: Post) -> bool:
    """Whether a one-shot ended, or may have: it must not run again because its host was lost."""
    if not wish.one_shot or not is_current(wish, post):
        return False
    status = draft.status(post)
    if status is None:
        return post.host_id not in draft.snapshot.observed
    return status.phase in (Phase.COMPLETED, Phase.FAILED)


def has_completed(draft: Draft, wish: Wish, post: Post) -> bool:
    """Whether it is a one-shot that is known to have done its work."""
    status = draft.status(post) if wish.one_shot and is_current(wish, post) else None
    return status is not None and status.phase is Phase.COMPLETED


def why_kept(draft: Draft, wish: Wish, post: Post) -> str:
    """Why an instance stays on a host where it can't be seen; empty where it can, or is about to be."""
    snapshot, host_id = draft.snapshot, post.host_id
    name = draft.host_name(host_id)
    home = home_of(draft, wish, post)
    data = " and its data is there" if home is not None else ""
    if absence.is_gone(snapshot, host_id):
        return f"its host {name} was removed{data}"
    if not absence.is_lost(snapshot, host_id) or wish.is_global:
        return ""
    if absence.in_maintenance(snapshot, host_id):
        return f"its host {name} is in maintenance and silent; nothing moves off it"
    lost = f"its host {name} is lost"
    if draft.brake is not None:
        return f"{lost}; {draft.brake.note}"
    if has_ended(draft, wish, post):
        known = draft.status(post) is not None
        return "" if known else f"{lost}, and whether it has completed is not known"
    if wish.policy is HostLoss.STOP and absence.observes(snapshot, host_id):
        return f"{lost}, and only observed before: nobody stops it there"
    if wish.policy is HostLoss.STOP and post.assignment.stop_unheard_s:
        return f"{lost}; it is stopped there first, then started elsewhere"
    if wish.policy is HostLoss.STOP:
        return f"{lost}, and was not told before to stop it when it is cut off"
    return f"{lost}{data or ', and it is to be kept'}"


def _superfluous(draft: Draft, wish: Wish, post: Post) -> str:
    """Of a service that runs on every host, and has another slot on this one."""
    there = draft.assignments[post.host_id] if wish.is_global else ()
    for instance in there:
        if (instance.app, instance.service) == (wish.app, wish.name):
            return "one on each host is enough" if instance.slot != post.instance.slot else ""
    return ""


def _misplaced(draft: Draft, wish: Wish, post: Post) -> str:
    """Why this host may not keep the instance. Room that shrank is no reason: only new instances are measured
    against it. Nor is a scope that the host's policy has since changed: what then runs against its policy is for the
    host to stop, where its owner wants that, and is reported until somebody moves it."""
    berth = draft.berths[post.host_id]
    if wish.most and berth.by_service[wish.app, wish.name] >= wish.most:
        return f"more than {wish.most} on this host (max_replicas_per_node)"
    misfit = berth.mismatch(wish.service)
    if misfit is None or misfit.filter is Filter.SCOPE:
        return ""
    return f"does not fit this host any more: {misfit.group}"
