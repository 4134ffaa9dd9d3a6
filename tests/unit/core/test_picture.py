"""The agent's reports and the leader's picture: whatever happens on the host, both ends hold the same."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Optional

from hypothesis import given, settings
from hypothesis import strategies as st

from hullmark.core.changes import changes
from hullmark.core.picture import Picture, merged
from hullmark.model import wire
from hullmark.model.control import Mode, Posture
from hullmark.model.epoch import Epoch
from hullmark.model.event import Event
from hullmark.model.host import HostFacts
from hullmark.model.observed import (
    Health,
    HostProblem,
    HostState,
    InstanceStatus,
    Phase,
    Report,
)
from hullmark.model.orders import InstanceId
from hullmark.model.outage import Outage

EPOCH = Epoch(1, 2)
NAMES = tuple(InstanceId("shop", "web", slot, 1) for slot in (1, 2, 10))
STATUSES = st.builds(
    InstanceStatus,
    st.sampled_from(NAMES),
    st.sampled_from(list(Phase)),
    st.sampled_from(list(Health)),
    detail=st.sampled_from(("", 'é "quoted"\n')),
    exit_code=st.sampled_from((None, 0, 1)),
    started_at=st.sampled_from((0.0, 1.5)),
)


@st.composite
def states(draw: st.DrawFn) -> HostState:
    """Each instance is assigned, an orphan, or not there."""
    instances: dict[str, InstanceStatus] = {}
    orphans: dict[str, InstanceStatus] = {}
    for instance in NAMES:
        side = draw(st.sampled_from((None, instances, instances, orphans)))
        if side is not None:
            status = dataclasses.replace(draw(STATUSES), instance=instance)
            side[instance.container_name] = status
    return HostState(
        draw(st.sampled_from((HostFacts(), HostFacts("h1", cpus=2)))),
        instances,
        orphans,
        draw(st.sampled_from(((), (HostProblem("disk.full", "no room"),)))),
        draw(st.integers(0, 3)),
        draw(st.sampled_from(((), ("shop_data",)))),
    )


def report(before: Optional[HostState], after: HostState, sequence: int = 1) -> Report:
    made = changes(before, after, host_id="h1", run="r", sequence=sequence, epoch=EPOCH)
    # As it arrives at the other end.
    return wire.from_wire(Report, json.loads(wire.canonical(wire.to_wire(made))))


def picture_of(state: HostState) -> Picture:
    return merged(Picture(), report(None, state))


@given(states())
def test_a_pictures_digest_is_that_of_its_state(state: HostState) -> None:
    assert picture_of(state).digest() == wire.digest(state)
    assert picture_of(state).state == state


def test_an_empty_picture() -> None:
    assert Picture().digest() == wire.digest(HostState())
    assert Picture() == picture_of(HostState())


@given(st.lists(states(), min_size=1, max_size=5))
@settings(max_examples=80)
def test_reports_one_after_another_lead_to_the_hosts_state(history: list[HostState]) -> None:
    picture, before = Picture(), None
    for number, state in enumerate(history, 1):
        arrived = report(before, state, number)
        assert arrived.full is (before is None)
        assert arrived.digest == wire.digest(state)
        picture = merged(picture, arrived)
        assert picture.state == state
        assert picture.digest() == arrived.digest
        assert merged(picture, arrived) == picture, "a repeat changes nothing"
        before = state


@given(states(), states(), states())
@settings(max_examples=50)
def test_a_report_that_was_missed_shows_in_the_digest(
    first: HostState, missed: HostState, last: HostState
) -> None:
    """And a full one mends it."""
    picture = merged(Picture(), report(None, first))
    picture = merged(picture, report(missed, last))
    assert (picture.digest() == wire.digest(last)) is (picture.state == last)
    assert merged(picture, report(None, last)).state == last


@given(states(), states())
@settings(max_examples=50)
def test_only_what_changed_is_sent(before: HostState, after: HostState) -> None:
    sent = report(before, after)
    for name, status in {**sent.instances, **sent.orphans}.items():
        side = before.instances if name in sent.instances else before.orphans
        assert side.get(name) != status
    assert (sent.facts is None) is (before.facts == after.facts)
    assert (sent.problems is None) is (before.problems == after.problems)
    assert (sent.removed_volumes is None) is (before.removed_volumes == after.removed_volumes)
    assert report(after, after) == Report(
        "h1", "r", 1, EPOCH, wire.digest(after), accepted_revision=after.accepted_revision
    )


def test_one_that_moves_between_instances_and_orphans() -> None:
    status = InstanceStatus(NAMES[0], Phase.RUNNING)
    name = NAMES[0].container_name
    assigned, orphaned = HostState(instances={name: status}), HostState(orphans={name: status})
    for before, after in ((assigned, orphaned), (orphaned, assigned)):
        picture = merged(picture_of(before), report(before, after))
        assert picture.state == after
        assert picture.digest() == wire.digest(after)


def test_events_go_along() -> None:
    event = Event("e1", 1.0, "instance.started", "shop/web.1", "h1")
    state = HostState()
    for before in (None, state):
        made = changes(
            before, state, host_id="h1", run="r", sequence=1, epoch=EPOCH, events=(event,)
        )
        assert made.events == (event,)


def test_every_field_of_a_state_arrives() -> None:
    """A field that `changes` or `merged` leaves out would be asked for again and again."""
    status = InstanceStatus(NAMES[0], Phase.RUNNING)
    values: dict[str, Any] = {
        "facts": HostFacts("h1", cpus=2),
        "instances": {NAMES[0].container_name: status},
        "orphans": {NAMES[1].container_name: dataclasses.replace(status, instance=NAMES[1])},
        "problems": (HostProblem("disk.full", "no room"),),
        "accepted_revision": 7,
        "removed_volumes": ("shop_data",),
        "posture": Posture("h1", Mode.RUN, {}, at=0.0),
        "outages": (Outage("o1", "h1", "time", "time", "Time", began=1.0, reason="no source"),),
    }
    for name, _, _ in wire.fields_of(HostState):
        after = dataclasses.replace(HostState(), **{name: values[name]})
        assert after != HostState()
        for before in (None, HostState()):
            assert merged(Picture(), report(before, after)).state == after, name
