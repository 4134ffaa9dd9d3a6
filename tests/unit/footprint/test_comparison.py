"""What differs between two pictures."""

from __future__ import annotations

import pytest

from hullmark.footprint import comparison
from hullmark.footprint.comparison import compare
from hullmark.footprint.picture import Head, Picture
from tests.unit.footprint.conftest import file, of


def told(found: comparison.Comparison) -> list[tuple[str, str, str]]:
    return [(one.kind, one.key, one.change) for one in found.differences]


def test_nothing_differs() -> None:
    found = compare(of(file("/a")), of(file("/a")))
    assert (found.differences, found.not_compared) == ([], [])


def test_files_that_came_went_and_changed() -> None:
    before = of(file("/"), file("/a", "1"), file("/b"), file("/m"))
    after = of(file("/"), file("/a", "2"), file("/c"), file("/m", mode="4755"))
    found = compare(before, after)
    assert told(found) == [
        ("file", "/a", "changed"),
        ("file", "/b", "removed"),
        ("file", "/c", "added"),
        ("file", "/m", "changed"),
    ]
    assert (found.differences[0].before, found.differences[0].after) == (
        {"sha256": "1"},
        {"sha256": "2"},
    )
    assert found.differences[3].after == {"mode": "4755"}


def test_the_package_of_a_file_is_no_difference_of_the_file() -> None:
    assert told(compare(of(file("/a")), of(file("/a", package="cron")))) == []


def test_rules_line_by_line_with_their_order() -> None:
    def chain(*lines: str) -> dict[str, object]:
        return {"kind": "firewall", "key": "nft table ip shop chain input", "lines": list(lines)}

    found = compare(of(chain("a", "b", "c")), of(chain("b", "a", "c", "d")))
    changes = sorted((one.change, one.present["line"]) for one in found.differences)
    assert changes == [("added", "b"), ("added", "d"), ("removed", "b")]


def test_an_empty_chain_is_a_difference_too() -> None:
    other = {"kind": "firewall", "key": "nft table ip a", "lines": ["x"]}
    empty = {"kind": "firewall", "key": "nft table ip b", "lines": []}
    assert told(compare(of(other, empty), of(other))) == [("firewall", "nft table ip b", "removed")]


def test_very_long_lists_take_no_time_for_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "LINES_SORTED_OUT", 3)
    assert list(comparison._changes(["a", "b"], ["b", "c"])) == [(["a"], []), ([], ["c"])]


def test_what_was_not_looked_at_is_not_compared_and_named() -> None:
    rule = {"kind": "firewall", "key": "nft table ip x", "lines": []}
    both = compare(of(unseen=("firewall",)), of(unseen=("firewall",)))
    assert told(both) == []
    assert both.not_compared == [("firewall", "before: no nft"), ("firewall", "after: no nft")]
    one = compare(of(unseen=("firewall",)), of(rule))
    assert told(one) == [("look", "firewall", "changed")]
    assert one.not_compared == [("firewall", "before: no nft")]


def test_what_another_version_did_not_look_at() -> None:
    found = compare(of(), of({"kind": "module", "key": "bridge"}))
    assert told(found) == [("look", "module", "changed")]
    assert found.not_compared == [("module", "before: it is of another version")]


def test_files_that_were_not_read_are_named() -> None:
    huge = file("/huge", unread="above 256 MiB: size and time only")
    found = compare(of(huge), of(huge))
    assert found.unread == {"/huge": "above 256 MiB: size and time only"}
    assert told(found) == []


def test_what_a_former_version_did_not_record_is_no_difference_and_named() -> None:
    old = Picture(Head("web1", 1.0, True, "", former=True), of(file("/a")).records)
    new = of(
        file("/a", acl="02", attributes="i"),
        file("/b"),
        file("/run/systemd/system"),
        file("/run/systemd/system/x"),
    )
    found = compare(old, new)
    assert told(found) == [("file", "/b", "added")]
    ((kind, why),) = found.not_compared
    assert kind == "file"
    assert "before: it is of a former version" in why
