"""Every link of the documents leads to a file that is there, and to a heading that is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
FOLDERS = ("docs", "packaging", "conf", "examples", "tests")
DOCUMENTS = sorted(
    [
        *CHECKOUT.glob("*.md"),
        *(path for folder in FOLDERS for path in (CHECKOUT / folder).rglob("*.md")),
    ]
)
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]*))?\)")
FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


def anchors(text: str) -> set[str]:
    """As GitHub makes them of headings: lower case, blanks to dashes, other marks left out."""
    found = set()
    for heading in re.findall(r"^#+ (.*)$", FENCED.sub("", text), re.MULTILINE):
        kept = re.sub(r"[^\w\- ]", "", heading.strip().lower())
        found.add(kept.replace(" ", "-"))
    return found


def broken(document: Path) -> Iterator[str]:
    for target, anchor in LINK.findall(FENCED.sub("", document.read_text())):
        file = document.parent / target if target else document
        if not file.exists():
            yield f"{target}: not there"
        elif anchor and (file.suffix != ".md" or anchor not in anchors(file.read_text())):
            yield f"{target}#{anchor}: no such heading"


@pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda each: each.relative_to(CHECKOUT).as_posix()
)
def test_every_link_leads_somewhere(document: Path) -> None:
    assert list(broken(document)) == []


def test_a_broken_link_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One\n[a](gone.md) [b](#one) [c](#two) [d](page.md#one)\n```\n# two\n```\n")
    assert list(broken(page)) == ["gone.md: not there", "#two: no such heading"]
