"""Which hosts may use a host's services, by its own policy."""

from __future__ import annotations

import pytest

from hullmark.core.servicescopes import RULE, accepted, admitted
from hullmark.model.directory import Admission, ServiceName
from hullmark.model.policy import ANY, CDE, OUT, Exemption, Policy, Rule

DB = ServiceName("shop", "db")


def of_host(scope: str, *given: object) -> Policy:
    return Policy(scope=scope, given={RULE: Rule(RULE, given[0])} if given else {})


@pytest.mark.parametrize(
    ("policy", "allowed"),
    [
        (of_host(""), ("cde", "out", "published")),
        (of_host(OUT), ("cde", "out", "published")),
        (of_host(CDE), ("cde",)),
        (of_host(CDE, ANY), ("cde", "out", "published")),
        (of_host(CDE, ("cde", "published")), ("cde", "published")),
        (of_host(OUT, ()), ()),
    ],
)
def test_who_is_accepted(policy: Policy, allowed: tuple[str, ...]) -> None:
    assert accepted(policy, "shop", "db") == allowed


@pytest.mark.parametrize(
    ("scopes", "stands"),
    [(("cde",), True), (("out",), False), (("",), False), (("", "cde"), True), ((), False)],
)
def test_a_host_of_cardholder_data_turns_others_away(scopes: tuple[str, ...], stands: bool) -> None:
    one = Admission("h2", DB, scopes)
    kept, refused = admitted(of_host(CDE), [one])
    assert (kept, refused) == (((one,), ()) if stands else ((), (one,)))


def test_one_service_may_be_exempt() -> None:
    exemption = Exemption("shop/db", {RULE: Rule(RULE, ("out",))})
    policy = Policy(scope=CDE, exemptions=(exemption,))
    other = Admission("h2", ServiceName("shop", "web"), ("out",))
    ours = Admission("h2", DB, ("out",))
    assert admitted(policy, [ours, other]) == ((ours,), (other,))
