"""Frameworks: requirements by name; a site's file of the same name replaces the shipped one; what is wrong is named by line."""

from __future__ import annotations

from pathlib import Path

import pytest

from hullmark.config import load_framework, load_framework_file
from hullmark.errors import InvalidInput, NotFound
from hullmark.model.control import Requirement

TEXT = """\
title: The rules
requirements:
  - id: 1.2.8
    title: Firewalls are as written
    coverage: direct
    functions: [firewall, own-control]
    covers: the rules
    unseen: [switches]
  - id: "10.4"
    title: Logs are read
    coverage: none
    sources: []
    gaps: people do that
"""


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    folder = tmp_path / "ours"
    folder.mkdir()
    (folder / "rules-1.yaml").write_text(TEXT)
    return folder


def test_a_framework_is_read_by_its_name(ours: Path, tmp_path: Path) -> None:
    found = load_framework("rules-1", str(ours), str(tmp_path / "none"))
    assert (found.name, found.title) == ("rules-1", "The rules")
    assert found.requirements == (
        Requirement(
            "1.2.8",
            "Firewalls are as written",
            "direct",
            ("firewall", "own-control"),
            covers="the rules",
            unseen=("switches",),
        ),
        Requirement("10.4", "Logs are read", "none", gaps="people do that"),
    )
    assert found.of("ufw", "firewall") == found.of("own-control", "x") == ("1.2.8",)


def test_a_sites_file_replaces_the_shipped_one(ours: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir(mode=0o755)
    file = site / "rules-1.yaml"
    file.write_text(TEXT.replace("The rules", "Ours"))
    assert load_framework("rules-1", str(ours), str(site)).title == "Ours"
    file.chmod(0o666)
    with pytest.raises(InvalidInput, match="may be written by everybody"):
        load_framework("rules-1", str(ours), str(site))
    file.unlink()
    file.symlink_to(ours / "rules-1.yaml")
    with pytest.raises(InvalidInput, match="symbolic link"):
        load_framework("rules-1", str(ours), str(site))


def test_one_that_is_not_there_is_told_with_those_that_are(ours: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no framework rules-2") as caught:
        load_framework("rules-2", str(ours), str(tmp_path))
    assert "rules-1" in caught.value.remedy


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("title: The rules", "titel: The rules", 1, "unknown key; did you mean title?"),
        ("1.2.8", "1.2", 3, "in quotes where it looks like a number"),
        ("direct", "full", 5, "coverage: bad value 'full' (allowed: direct, partial, none)"),
        ("[firewall, own-control]", "firewall", 6, "functions: bad value"),
        ("    covers: the rules\n", "", 3, "has no covers"),
        ("    gaps: people do that\n", "", 9, "has no gaps"),
        ("    functions: [firewall, own-control]\n", "", 3, "nothing gives evidence"),
        ("sources: []", "sources: [hope]", 12, "a list of some of: audit"),
        ("sources: []", "functions: [time]", 12, "though the coverage is none"),
        ('"10.4"', "1.2.8", 9, "1.2.8 stands here a second time"),
        ("unseen: [switches]", "unseen: switches", 8, "a list of texts"),
        ("  - id: 1.2.8\n    title", "  - a\n  - title", 3, "not a mapping"),
    ],
)
def test_what_is_wrong_is_named_by_line(
    ours: Path, old: str, new: str, line: int, said: str
) -> None:
    file = ours / "rules-1.yaml"
    assert old in TEXT
    file.write_text(TEXT.replace(old, new, 1))
    with pytest.raises(InvalidInput) as caught:
        load_framework_file(str(file))
    assert "hullmark config check framework" in caught.value.remedy
    told = [str(each) for each in caught.value.problems]
    assert any(each.startswith(f"{file}:{line}: ") and said in each for each in told), told


@pytest.mark.parametrize("text", ["", "- a\n", "title: x\nrequirements: {}\n", "title: x\n"])
def test_what_is_no_framework_is_refused(ours: Path, text: str) -> None:
    file = ours / "x.yaml"
    file.write_text(text)
    with pytest.raises(InvalidInput, match=str(file)):
        load_framework_file(str(file))


def test_a_failure_is_also_about_how_failures_are_dealt_with(tmp_path: Path) -> None:
    found = load_framework("pci-dss-4.0.1", site_dir=str(tmp_path))
    assert found.of("time-chrony", "time") == ("10.2.2", "10.6.1", "10.6.2", "10.6.3")
    assert found.of_failure("time-chrony", "time")[-2:] == ("10.7.2", "10.7.3")
    assert found.of_failure("x", "site-edr") == ("10.7.2", "10.7.3")
    assert next(one for one in found.requirements if one.requirement_id == "10.7.2").unseen
