"""The report says what the story does, in a page that takes hostile text as text, and needs nothing from elsewhere."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Optional

import pytest

from hullmark.evidence.chart import BAR_LEAST, LABELS, WIDTH, chart
from hullmark.evidence.report import common_suffix, missing, render, seven, share
from hullmark.evidence.story import Story, Table
from hullmark.model.outage import NOTES, Incident, Note, Outage
from tests.unit.evidence.logbook import BEGINS, DAY
from tests.unit.evidence.sample import cluster, empty

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7 * 7 }}"
VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """Names of all elements, their attributes, and whether they close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.wrong: list[str] = []
        self.feed(text)
        self.close()
        self.wrong += self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Optional[str]]]) -> None:
        self.elements.append(tag)
        self.attributes += [(name, str(value)) for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, Optional[str]]]) -> None:
        self.elements.append(tag)
        self.attributes += [(name, str(value)) for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def story() -> Story:
    return cluster(8, 30.0)


@pytest.mark.parametrize("page", ["large", "small", "empty"])
def test_a_page_is_whole_and_needs_nothing_from_elsewhere(page: str, story: Story) -> None:
    found = Page(render({"large": story, "small": cluster(1, 10 / 1440), "empty": empty()}[page]))
    assert found.wrong == []
    assert not {"script", "img", "link", "iframe", "object", "base", "form"} & set(found.elements)
    links = [
        value for name, value in found.attributes if name in ("href", "src", "xlink:href", "action")
    ]
    assert all(link.startswith("#") for link in links)
    ids = [value for name, value in found.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in links} <= set(ids) | {"people"}
    assert not any(name.startswith("on") for name, _ in found.attributes)


def test_it_tells_what_an_assessor_asks_for(story: Story) -> None:
    text = Page(render(story, "ab" * 32)).text
    for words in (
        "shop-production, 8 hosts",
        "2025-12-01 00:00 UTC to 2025-12-31 00:00 UTC (30 d)",
        "ab" * 32,
        "10.2.1.2 Actions by anybody with administrative access are logged",
        "Not exercised: that the rules record what they should",
        "a second machine",
        "AIDE's database was never made",
        "lasts on",
        "The certificate of log1's receiver had expired.",
        "3 hosts were removed in the period",
    ):
        assert words in text
    for requirement in story.requirements:
        assert requirement.gaps in text
        assert text.count(requirement.requirement_id) >= 2


def test_hostile_text_is_text(story: Story) -> None:
    outage = Outage(
        "o", HOSTILE, HOSTILE, HOSTILE, HOSTILE, BEGINS, HOSTILE, requirements=(HOSTILE,)
    )
    notes = (Note(BEGINS, HOSTILE, "cause", HOSTILE), Note(BEGINS, HOSTILE, "", HOSTILE))
    control = replace(
        story.controls[0], host=HOSTILE, control_id=HOSTILE, title=HOSTILE, reason=HOSTILE, status="fail", function=HOSTILE
    )  # fmt: skip
    control = replace(
        control, checks=tuple(replace(one, not_exercised=HOSTILE) for one in control.checks)
    )
    requirement = replace(
        story.requirements[1], requirement_id=HOSTILE, title=HOSTILE, why=HOSTILE, covers=HOSTILE, gaps=HOSTILE,
        controls=((HOSTILE, HOSTILE),), sources=(HOSTILE,),
    )  # fmt: skip
    hostile = replace(
        story, of=HOSTILE, framework=HOSTILE, made_by=HOSTILE, hosts=(HOSTILE,), requirements=(requirement,), controls=(control,),
        outages=(outage,), incidents=(Incident(1, HOSTILE, {"o": outage}, HOSTILE, BEGINS, notes),), remarks=(HOSTILE,),
        tables=tuple(Table(name, HOSTILE, (HOSTILE,), ((HOSTILE,),)) for name in ("hosts", "actions", "verification")),
    )  # fmt: skip
    found = Page(render(hostile))
    assert found.wrong == []
    assert not {"script", "img"} & set(found.elements)
    assert not any(name.startswith("on") for name, _ in found.attributes)
    assert found.text.count("{{ 7 * 7 }}") >= 15, "each of them is shown, and none is a template"


def test_what_only_a_person_can_tell_is_open_until_told() -> None:
    outage = Outage("o", "h", "c", "f", "t", BEGINS, "r")
    incident = Incident(1, "f", {"o": outage})
    assert missing(incident) == len(seven(incident)) == 7
    ended = replace(incident, outages={"o": replace(outage, ended=BEGINS + 60)})
    assert missing(ended) == 5
    notes = tuple(Note(BEGINS, "alice", topic, "told") for topic in NOTES)
    assert missing(replace(ended, notes=notes)) == 0


@pytest.mark.parametrize(
    ("value", "shown"), [(1.0, "100 %"), (0.999999, "99.99 %"), (0.5, "50.0 %"), (0.0, "0.0 %")]
)
def test_a_share_is_never_rounded_up_to_all(value: float, shown: str) -> None:
    assert share(value) == shown


def test_a_bar_is_where_its_outage_was() -> None:
    half = BEGINS + 15 * DAY
    outages = (
        Outage("a", "h", "c", "f", "t", half, "r", ended=half + 3 * DAY),
        Outage("b", "h", "c", "f", "t", half + 5 * DAY, "r", ended=half + 5 * DAY + 1),
        Outage("c", "h", "d", "f", "t", BEGINS - DAY, "r"),
    )
    found = chart(outages, BEGINS, BEGINS + 30 * DAY)
    first, second = found.rows
    assert first.bars[0].x == pytest.approx(LABELS + (WIDTH - LABELS) / 2, abs=0.1)
    assert first.bars[0].width == pytest.approx((WIDTH - LABELS) / 10, abs=0.1)
    assert first.bars[1].width == BAR_LEAST
    assert (second.bars[0].x, second.bars[0].width, second.bars[0].open) == (
        LABELS,
        WIDTH - LABELS,
        True,
    )
    assert 5 <= len(found.ticks) <= 17


@pytest.mark.parametrize("length", [0.0, 1.0, 600.0, DAY, 30 * DAY, 400 * DAY])
def test_a_chart_of_any_length_has_a_few_ticks(length: float) -> None:
    found = chart((), BEGINS, BEGINS + length)
    assert len(found.ticks) <= 44
    assert all(re.fullmatch(r"[0-9: -]+", tick.text) for tick in found.ticks)


def test_the_domain_that_all_names_share() -> None:
    assert common_suffix(("a.shop", "b.shop")) == ".shop"
    assert common_suffix(("a.shop", "b.other")) == common_suffix(("10.0.0.1", "11.0.0.1")) == ""
    assert common_suffix(()) == common_suffix(("a", "b")) == ""
