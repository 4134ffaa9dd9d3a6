"""The page of files has all that the packages bring, with mode and owner, and each right of the daemons."""

from __future__ import annotations

import re
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packaging.filespage import PAGE, Found, differences, rows
from tests.packaging.products import products

UNITS = Path(__file__).resolve().parents[2] / "packaging" / "files"


def in_deb(package: Path) -> Iterator[Found]:
    with (
        subprocess.Popen(
            ["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE
        ) as process,
        tarfile.open(fileobj=process.stdout, mode="r|") as archive,
    ):
        for member in archive:
            kind = "d" if member.isdir() else "l" if member.issym() else "f"
            owner = f"{member.uname}:{member.gname}"
            yield Found(member.name.lstrip("."), kind, f"{member.mode:04o}", owner)


def in_rpm(package: Path) -> Iterator[Found]:
    form = (
        r"[%{FILEMODES:perms} 0%{FILEMODES:octal} %{FILEUSERNAME}:%{FILEGROUPNAME} %{FILENAMES}\n]"
    )
    command = ["rpm", "-qp", "--nosignature", "--qf", form, str(package)]
    listed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    for line in listed.splitlines():
        perms, octal, owner, path = line.split(" ", 3)
        kind = {"d": "d", "l": "l"}.get(perms[0], "f")
        yield Found(path, kind, f"0{octal[-3:]}", owner)


def is_ours(found: Found) -> bool:
    """Not a folder that the system has as well."""
    return "hullmark" in found.path or found.kind != "d"


@pytest.mark.parametrize(
    "package", ["hullmark", "hullmark-agent", "hullmark-master", "hullmark-proxy"]
)
def test_the_page_has_what_the_deb_has(package: str) -> None:
    found = [each for each in in_deb(products().deb(package)) if is_ours(each)]
    assert len(found) > 8
    assert differences(found) == []


def test_the_page_has_what_the_rpms_have() -> None:
    found = [each for file in products().rpms for each in in_rpm(file) if is_ours(each)]
    assert len(found) > 100
    # The one difference of the family, which the page names in words.
    said = differences(each for each in found if each.path != "/var/log/hullmark")
    assert [line for line in said if "__pycache__" not in line] == []


def test_a_file_that_is_not_on_the_page_is_seen() -> None:
    assert len(rows()) > 50
    assert differences([Found("/etc/hullmark/other", "f", "0644", "root:root")]) == [
        "/etc/hullmark/other is not on the page"
    ]
    assert differences([Found("/usr/bin/hullmark", "f", "4755", "root:root")]) == [
        "/usr/bin/hullmark is 4755 root:root; the page says 0755 root:root"
    ]


@pytest.mark.parametrize("daemon", ["agent", "master", "proxy"])
def test_the_page_names_the_rights_that_the_unit_leaves(daemon: str) -> None:
    unit = (UNITS / f"hullmark-{daemon}.service").read_text()
    rights = PAGE.read_text().partition("\n## Rights")[2].partition("\n## ")[0]
    table = rights.partition(f"| {daemon.capitalize()} | Why |")[2].partition("\n\n")[0]
    for key, form in (
        ("CapabilityBoundingSet", r"CAP_[A-Z_]+"),
        ("RestrictAddressFamilies", r"AF_[A-Z0-9]+"),
        ("SystemCallFilter", r"@[a-z-]+"),
    ):
        given = {word for line in lines_of(unit, key) for word in re.findall(form, line)}
        assert set(re.findall(form, table)) == given, key
    both = rights.rpartition("|\n\n")[2].partition("hold for all")[0]
    for key in re.findall(r"`([A-Z]\w+)`", both):
        assert lines_of(unit, key) != [], key


def lines_of(unit: str, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.+)$", unit, re.MULTILINE)
