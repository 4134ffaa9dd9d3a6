"""Services that are only refused here: when the proxy is told of others."""

from __future__ import annotations

from dataclasses import replace

from hullmark.agentd.otherservices import AT_ONCE, EVERY_S, OtherServices
from hullmark.model.directory import OtherEntry, ServiceName
from hullmark.model.proxy import ProxySight
from tests.unit.core.proxyworld import BRIDGES, DIRECTORY, SIGHT

ONE, TWO = (
    OtherEntry(ServiceName("far", name), f"10.214.0.{number}", (80,))
    for name, number in (("one", 7), ("two", 8))
)


class Time:
    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


def spent(time: Time) -> OtherServices:
    """It was told of all that may come at once, and of ONE last."""
    others = OtherServices(time)
    others.settled(told(ONE))  # with all else, as it does at first
    for service in (TWO, ONE) * (AT_ONCE // 2):
        assert others.settled(told(service)).directory.others == (service,)
    return others


def told(*others: OtherEntry) -> ProxySight:
    addresses = (*DIRECTORY.addresses, *(one.address for one in others))
    return replace(SIGHT, directory=replace(DIRECTORY, others=others, addresses=addresses))


def test_an_app_elsewhere_alone_is_not_worth_a_load_each_time() -> None:
    time = Time()
    others = spent(time)
    assert others.settled(told(ONE, TWO)).directory.others == (ONE,)
    time.now += EVERY_S - 1
    assert others.settled(told(ONE, TWO)).directory.others == (ONE,)
    time.now += 1
    assert others.settled(told(ONE, TWO)) == told(ONE, TWO)
    assert others.settled(told(ONE)).directory.others == (ONE, TWO), "and from now on, again"


def test_in_a_long_time_no_more_is_saved_up() -> None:
    time = Time()
    others = spent(time)
    time.now += (AT_ONCE + 7) * EVERY_S
    for service in (TWO, ONE) * (AT_ONCE // 2):
        assert others.settled(told(service)).directory.others == (service,)
    assert others.settled(told(TWO)).directory.others == (ONE,)


def test_with_anything_else_that_is_listened_on_they_come_at_once() -> None:
    changes = (
        {"bridges": BRIDGES[:2]},
        {"certificate": "cd"},
        {"directory": replace(told(ONE, TWO).directory, services=DIRECTORY.services[:1])},
        {"directory": replace(told(ONE, TWO).directory, published=())},
    )
    for change in changes:
        others = spent(Time())
        changed = replace(told(ONE, TWO), **change)
        assert others.settled(changed) == changed


def test_what_only_instances_do_is_nothing_to_come_with() -> None:
    others = spent(Time())
    moved = tuple(replace(one, elsewhere=()) for one in DIRECTORY.services)
    changed = replace(told(ONE, TWO).directory, services=moved, admissions=())
    found = others.settled(replace(SIGHT, directory=changed, members=()))
    assert found.directory.others == (ONE,)


def test_the_address_of_one_that_is_gone_stays_until_the_proxy_is_loaded_without_it() -> None:
    time = Time()
    others = spent(time)
    time.now += EVERY_S
    others.settled(told(ONE, TWO))
    assert set(others.settled(told(ONE)).directory.addresses) == {
        *DIRECTORY.addresses,
        ONE.address,
        TWO.address,
    }


def test_nobody_is_refused_in_the_name_of_who_had_the_address_before() -> None:
    others = spent(Time())
    heir = replace(TWO, address=ONE.address)
    assert others.settled(told(heir)).directory.others == (heir,)
