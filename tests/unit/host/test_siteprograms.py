"""Only programs that nobody but root could have changed are run for a site's controls."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hullmark.host import siteprograms
from hullmark.host.eye import Eye
from hullmark.model.control import Reading, Trouble


class Site:
    """A file system of its own, in which everything belongs to whom runs the tests."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.program = root / "opt" / "ctl"
        self.program.parent.mkdir()
        self.program.write_text("#!/bin/sh\necho ran\n")
        self.program.chmod(0o755)
        root.chmod(0o755)
        self.ran: list[list[str]] = []

    def run(self, *argv: str) -> Reading:
        eye = Eye()

        def run(name: str, words: list[str]) -> Reading:
            self.ran.append(list(words))
            return Reading(name, words[0], code=0)

        eye.run = run  # type: ignore[method-assign,assignment]
        return siteprograms.run(eye, "x", argv, owner=os.geteuid(), root=str(self.root))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_program_of_roots_is_run(site: Site) -> None:
    assert site.run("/opt/ctl", "status").code == 0
    assert site.ran == [["/opt/ctl", "status"]]


def test_one_that_is_not_there_is_missing(site: Site) -> None:
    assert site.run("/opt/none").trouble is Trouble.MISSING
    assert site.run("no-such-program-anywhere").trouble is Trouble.MISSING
    assert not site.ran


@pytest.mark.parametrize("mode", [0o775, 0o757])
def test_one_that_others_may_write_is_not_run(site: Site, mode: int) -> None:
    site.program.chmod(mode)
    seen = site.run("/opt/ctl")
    assert seen.trouble is Trouble.DENIED
    assert "may be written by others than root" in seen.errors
    site.program.chmod(0o755)
    site.program.parent.chmod(mode)
    seen = site.run("/opt/ctl")
    assert seen.trouble is Trouble.DENIED
    assert "others than root may put another file" in seen.errors
    assert not site.ran


@pytest.mark.parametrize(
    ("argv", "judged"),
    [
        (("awk", "-f", "{}", "/etc/hostname"), True),
        (("mawk", "-f{}"), True),
        (("sed", "--file={}"), True),
        (("sed", "-n", "-f", "{}"), True),
        (("nohup", "sh", "{}"), True),
        (("node", "{}"), True),
        (("awk", "{{print}}", "{}"), False),
        (("tail", "-f", "{}"), False),
    ],
)
def test_a_file_that_says_what_to_do_is_judged_and_one_that_is_only_read_is_not(
    tmp_path: Path, argv: tuple[str, ...], judged: bool
) -> None:
    script = tmp_path / "script"
    script.write_text("")
    words = [word.format(script) for word in argv]
    assert (str(script) in siteprograms._run(f"/usr/bin/{words[0]}", words)) is judged


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_one_of_another_user_is_not_run(site: Site) -> None:
    os.chown(site.program, 12345, 0)
    assert "belongs to user 12345" in site.run("/opt/ctl").errors
    os.chown(site.program, 0, 0)
    os.chown(site.program.parent, 12345, 0)
    assert "of user 12345" in site.run("/opt/ctl").errors
    assert not site.ran


def test_a_script_is_judged_as_the_program_that_runs_it(site: Site) -> None:
    real = site.root / "real"
    real.write_text("echo ran")
    sh = site.root / "bin" / "sh"
    sh.parent.mkdir()
    sh.write_text("")
    seen = site.run("/bin/sh", str(real))  # the script is outside of the file system that is judged
    assert seen.trouble is Trouble.DENIED
    relative = str(real).lstrip("/")
    assert site.run("/bin/sh", "-x", relative).trouble is Trouble.DENIED, "they run in /"
    assert site.run("/bin/sh", "-c", "true").trouble is Trouble.NONE
    assert site.run("/opt/ctl", str(real), "x" * 9000).trouble is Trouble.NONE, "only read by it"
    real.chmod(0o755)
    assert site.run("/opt/ctl", str(real)).trouble is Trouble.DENIED, "it may run it"


def test_a_folder_or_a_link_that_leads_nowhere_is_not_run(site: Site) -> None:
    assert site.run("/opt").trouble is Trouble.DENIED
    (site.root / "opt" / "link").symlink_to("/opt/nowhere")
    assert site.run("/opt/link").trouble is Trouble.MISSING
    assert not site.ran
