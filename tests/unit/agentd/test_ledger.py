"""What the agent accepts, holds to, and refuses."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hullmark.agentd import enrolment
from hullmark.agentd.ledger import Ledger
from hullmark.agentd.outbox import Outbox
from hullmark.agentd.problems import Problems
from hullmark.errors import StaleEpoch
from hullmark.model.audit import Actor, Entry, Outcome
from hullmark.model.epoch import Epoch
from hullmark.model.incarnation import IncarnationProof
from hullmark.model.orders import InstanceId, Orders
from hullmark.model.protocol import Former
from hullmark.pki.authority import Authority, create_authority
from hullmark.pki.statements import sign_incarnation
from tests.unit.agentd.fakes import CLUSTER, HOST, bundle_of, orders_of, shows_itself

WEB = InstanceId("shop", "web", 1, 1)
NOW = 1.8e9


def ledger_in(folder: Path) -> Ledger:
    ledger = Ledger(folder, CLUSTER, HOST, Problems(), Outbox("host box"))
    assert ledger.load()
    return ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return ledger_in(tmp_path)


def test_accepted_orders_survive(tmp_path: Path, ledger: Ledger) -> None:
    orders = orders_of([(WEB, bundle_of())], epoch=Epoch(1, 3), revision=8)
    assert ledger.accept(orders)
    again = ledger_in(tmp_path)
    assert again.standing.orders == orders
    assert again.standing.current
    assert (again.held.epoch, again.held.leader, again.held.revision) == (Epoch(1, 3), "m1", 8)


def test_what_is_accepted_or_refused_is_said_to_the_log_with_the_leader_that_asked(
    tmp_path: Path,
) -> None:
    said: list[Entry] = []
    ledger = Ledger(tmp_path, CLUSTER, HOST, Problems(), Outbox("host box"), said.append)
    ledger.load()
    orders = orders_of([(WEB, bundle_of())], epoch=Epoch(1, 3), revision=8)
    assert ledger.accept(orders)
    assert ledger.accept(orders), "held already: nothing new to record"
    assert not ledger.accept(orders_of(epoch=Epoch(1, 1), leader="m2"))
    assert [(one.kind, one.outcome, one.by, one.actor, one.epoch) for one in said] == [
        ("order.accepted", Outcome.SUCCESS, "m1", Actor.MASTER, "1.3"),
        ("order.refused", Outcome.REFUSED, "m2", Actor.MASTER, "1.1"),
    ]
    assert said[0].fields["revision"] == "8"
    assert "has passed" in said[1].reason


@pytest.mark.parametrize(
    ("orders", "why"),
    [
        (orders_of(epoch=Epoch(1, 1)), "epoch 1.1 has passed"),
        (orders_of(epoch=Epoch(1, 2), leader="m2", revision=9), "is m1's, not m2's"),
        (orders_of(epoch=Epoch(1, 2), revision=4), "revision 4 has passed"),
        (Orders("c2", HOST, Epoch(1, 3), "m1", 9), "another cluster"),
        (Orders(CLUSTER, "h2", Epoch(1, 3), "m1", 9), "for host h2"),
    ],
)
def test_what_is_refused_is_recorded_and_changes_nothing(
    tmp_path: Path, orders: Orders, why: str
) -> None:
    outbox = Outbox("host box")
    ledger = Ledger(tmp_path, CLUSTER, HOST, Problems(), outbox)
    ledger.load()
    held = orders_of([(WEB, bundle_of())], epoch=Epoch(1, 2), revision=5)
    assert ledger.accept(held)
    assert not ledger.accept(orders)
    assert ledger.standing.orders == held
    (event,) = outbox.peek()
    assert event.kind == "order.refused"
    assert why in event.message
    assert ledger_in(tmp_path).standing.orders == held


def test_the_same_orders_again_are_fine(ledger: Ledger) -> None:
    orders = orders_of([(WEB, bundle_of())])
    assert ledger.accept(orders)
    assert ledger.accept(orders)


def test_nothing_is_accepted_that_is_not_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    problems = Problems()
    ledger = Ledger(tmp_path, CLUSTER, HOST, problems, Outbox("host box"))
    ledger.load()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("hullmark.agentd.statefile.write_private", full)
        assert not ledger.accept(orders_of(revision=3))
    assert ledger.held.revision == 0
    assert [problem.code for problem in problems.all()] == ["state.write"]
    assert ledger.accept(orders_of(revision=3))
    assert problems.all() == ()


def test_before_the_files_are_read_nothing_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "state-a.json").write_text("x")
    problems = Problems()
    ledger = Ledger(tmp_path, CLUSTER, HOST, problems, Outbox("host box"))
    assert not ledger.load()
    assert not ledger.accept(orders_of())
    assert not ledger.standing.readable
    (tmp_path / "state-a.json").unlink()
    assert ledger.load()
    assert problems.all() == ()


def test_a_leader_that_shows_itself_holds_up_older_work(ledger: Ledger) -> None:
    ledger.accept(orders_of([(WEB, bundle_of())]))
    ledger.check(Epoch(1, 1), WEB)
    assert shows_itself(ledger, Epoch(1, 2), "m2") == ""
    with pytest.raises(StaleEpoch):
        ledger.check(Epoch(1, 1), WEB)
    ledger.check_kept(Epoch(1, 1), WEB)
    assert not ledger.standing.current
    assert "has passed" in shows_itself(ledger, Epoch(1, 1), "m1")
    assert "is m2's" in shows_itself(ledger, Epoch(1, 2), "m1")


@pytest.mark.parametrize(
    ("former", "why"),
    [
        (None, "knows no epoch 1.1"),
        (Former("m1@other", 100), "is m1@other's, and here m1's"),
        (Former("m1", 8), "at revision 8, and 8 was accepted"),
    ],
)
def test_a_leader_with_an_old_copy_of_the_store_never_comes_to_be_believed(
    ledger: Ledger, former: Optional[Former], why: str
) -> None:
    """However high its epoch has been counted up by restarts."""
    ledger.accept(orders_of([(WEB, bundle_of())], revision=8))
    for term in (2, 50, 10_000):
        assert why in ledger.seen(Epoch(1, term), "m1@copy", former)
    ledger.check(Epoch(1, 1), WEB)
    assert ledger.seen(Epoch(1, 2), "m1@next", Former("m1", 9)) == ""


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """The cluster's; this host was enrolled with its root."""
    made = create_authority(tmp_path / "pki", CLUSTER, NOW)
    (tmp_path / enrolment.ROOT).write_text(made.root_pem)
    return made


def proof_by(
    authority: Authority, incarnation: int = 2, cluster: str = CLUSTER
) -> IncarnationProof:
    return sign_incarnation(authority, cluster, incarnation, reason="restored", by="ann", now=NOW)


def test_an_operators_word_is_above_what_a_store_can_show(
    tmp_path: Path, ledger: Ledger, authority: Authority
) -> None:
    ledger.accept(orders_of([(WEB, bundle_of())]))
    assert ledger.seen(Epoch(2, 1), "m1@restored", None, proof_by(authority)) == ""
    # Later terms of it need none, also after a restart.
    assert ledger.seen(Epoch(2, 2), "m2@next", Former("m1@restored", 9)) == ""
    assert ledger.accept(orders_of(epoch=Epoch(2, 2), leader="m2@next"))
    assert ledger_in(tmp_path).seen(Epoch(2, 3), "m1@again", Former("m2@next", 99)) == ""
    assert "has passed" in ledger.seen(Epoch(1, 99), "m1@old", None)


def test_a_new_incarnation_without_the_clusters_signature_is_refused(
    tmp_path: Path, ledger: Ledger, authority: Authority
) -> None:
    ledger.accept(orders_of([(WEB, bundle_of())]))
    other = create_authority(tmp_path / "other", CLUSTER, NOW)
    for proof, why in (
        (None, "no signature of the cluster's came with it"),
        (proof_by(other), "does not lead to the cluster's root"),
        (proof_by(authority, 3), "it is of incarnation 3"),
        (proof_by(authority, cluster="c9"), "it is of another cluster"),
    ):
        assert why in ledger.seen(Epoch(2, 1), "m1@copy", None, proof)
        assert ledger.held.epoch == Epoch(1, 1)
    ledger.check(Epoch(1, 1), WEB)
    (tmp_path / enrolment.ROOT).unlink()
    assert "can't be checked" in ledger.seen(Epoch(2, 1), "m1@x", None, proof_by(authority))


def test_lost_orders_are_not_had_from_an_older_leader(tmp_path: Path) -> None:
    ledger_in(tmp_path).accept(orders_of([(WEB, bundle_of())], epoch=Epoch(1, 4), leader="m1@d"))
    for name in ("state-a.json", "state-b.json"):
        (tmp_path / name).unlink()
    again = ledger_in(tmp_path)
    assert "has passed" in again.seen(Epoch(1, 2), "m1@b", None)
    assert not again.accept(orders_of(epoch=Epoch(1, 2), leader="m1@b"))
    assert again.accept(orders_of([(WEB, bundle_of())], epoch=Epoch(1, 4), leader="m1@d"))


def test_a_label_that_nobody_has_any_more_holds_nothing_up(ledger: Ledger) -> None:
    ledger.accept(orders_of([(WEB, bundle_of())]))
    ledger.at_least(Epoch(999, 999))
    with pytest.raises(StaleEpoch):
        ledger.check(Epoch(1, 1), WEB)
    ledger.at_least(Epoch(1, 1))
    ledger.check(Epoch(1, 1), WEB)


def test_a_container_of_a_higher_epoch_proves_what_was_accepted(ledger: Ledger) -> None:
    ledger.accept(orders_of([(WEB, bundle_of())]))
    ledger.at_least(Epoch(1, 4))
    with pytest.raises(StaleEpoch):
        ledger.check_kept(Epoch(1, 1), WEB)
    assert not ledger.accept(orders_of(epoch=Epoch(1, 3)))
    assert ledger.accept(orders_of(epoch=Epoch(1, 4), leader="m7"))


def test_what_is_not_asked_for_any_more_is_not_made(ledger: Ledger) -> None:
    ledger.accept(orders_of([(WEB, bundle_of())]))
    ledger.accept(orders_of([], [WEB], revision=2))
    with pytest.raises(StaleEpoch):
        ledger.check(Epoch(1, 1), WEB)
    with pytest.raises(StaleEpoch):
        ledger.check_kept(Epoch(1, 1), WEB)


def test_after_it_is_closed_another_one_rules(tmp_path: Path, ledger: Ledger) -> None:
    """What was under way when the agent began anew ends before its next call, and an answer that comes late is not written
    over what the next one accepted."""
    first = orders_of([(WEB, bundle_of())], epoch=Epoch(1, 3), revision=8)
    later = orders_of([(WEB, bundle_of())], epoch=Epoch(1, 3), revision=9)
    assert ledger.accept(first)
    ledger.check(Epoch(1, 3), WEB)
    ledger.close()
    successor = ledger_in(tmp_path)
    assert successor.accept(later)
    assert not ledger.accept(orders_of(epoch=Epoch(1, 3), revision=10))
    for check in (ledger.check, ledger.check_kept):
        with pytest.raises(StaleEpoch, match="begins anew"):
            check(Epoch(1, 3), WEB)
    assert ledger_in(tmp_path).standing.orders == later


def test_orders_of_another_enrolment_are_left_alone(tmp_path: Path, ledger: Ledger) -> None:
    ledger.accept(orders_of([(WEB, bundle_of())], epoch=Epoch(7, 1)))
    other = Ledger(tmp_path, "c2", "h9", Problems(), Outbox("host box"))
    assert other.load()
    assert other.standing.orders == Orders("c2", "h9")
    assert other.accept(Orders("c2", "h9", Epoch(1, 1), "m1", 1))


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["accept", "seen", "label", "restart"]),
        st.integers(1, 3),
        st.sampled_from(["m1", "m2"]),
        st.integers(1, 4),
    ),
    max_size=25,
)


@given(STEPS)
@settings(max_examples=50, deadline=None)
def test_it_never_goes_back(steps: list[tuple[str, int, str, int]]) -> None:
    """Whatever leaders say, and however often the agent restarts: the accepted (epoch, revision) only grows, and
    each accepted epoch has one leader."""
    with tempfile.TemporaryDirectory() as folder:
        only_grows(Path(folder), steps)


def only_grows(folder: Path, steps: list[tuple[str, int, str, int]]) -> None:
    ledger = ledger_in(folder)
    accepted: list[Orders] = []
    for what, term, leader, revision in steps:
        epoch = Epoch(1, term)
        if what == "accept":
            orders = orders_of(epoch=epoch, leader=leader, revision=revision)
            if ledger.accept(orders):
                accepted.append(orders)
        elif what == "seen":
            shows_itself(ledger, epoch, leader)
        elif what == "label" and accepted:
            ledger.at_least(accepted[-1].epoch)
        elif what == "restart":
            ledger = ledger_in(folder)
        if accepted:
            assert ledger.standing.orders == accepted[-1]
    order = [(one.epoch, one.revision) for one in accepted]
    assert order == sorted(order)
    assert len({(one.epoch, one.leader) for one in accepted}) == len(
        {one.epoch for one in accepted}
    )
