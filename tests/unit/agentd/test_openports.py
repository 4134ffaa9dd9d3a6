"""When the host is looked at because other ports are open than before."""

from __future__ import annotations

from hullmark.agentd.openports import AT_ONCE, EACH_S, OpenPorts


class World:
    def __init__(self) -> None:
        self.now = 7.0
        self.open: frozenset[int] = frozenset([22])
        self.told = 0
        self.ports = OpenPorts(lambda: self.open, self.tell, lambda: self.now)

    def tell(self) -> None:
        self.told += 1

    def turn(self, *ports: int, after_s: float = 5.0) -> int:
        """How often it was told by then."""
        self.now += after_s
        self.open = frozenset(ports)
        self.ports.turn()
        return self.told


def test_a_change_is_told_once() -> None:
    world = World()
    assert world.turn(22) == 0, "what was open at first is known"
    assert world.turn(22, 8080) == 1
    assert world.turn(22, 8080) == 1
    assert world.turn(22) == 2


def test_of_ports_that_come_and_go_all_the_time_not_each_change_is_told() -> None:
    world = World()
    for number in range(10 * AT_ONCE):
        world.turn(number)
    most = AT_ONCE + 10 * AT_ONCE * 5.0 / EACH_S
    assert AT_ONCE < world.told <= most
    before = world.told
    world.turn(443, after_s=EACH_S)
    assert world.told == before + 1, "nor is the newest forgotten"
