"""Processes of a program, told from their look-alikes, in a made-up /proc."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hullmark.host import programs
from hullmark.host.eye import Eye
from hullmark.host.programs import installed, named, running
from hullmark.model.control import Trouble


def add(
    root: Path,
    number: int,
    executable: str,
    *words: str,
    state: str = "S (sleeping)",
    spaces: str = "",
    name: str = "",
) -> None:
    folder = root / "proc" / str(number)
    folder.mkdir(parents=True)
    name = name or Path(words[0] if words else executable).name[:15]
    (folder / "comm").write_text(name + "\n")
    (folder / "status").write_text(
        f"Name:\t{name}\nState:\t{state}\nUid:\t7\t7\t7\t7\nNSpid:\t{spaces or number}\n"
    )
    (folder / "cmdline").write_text("\0".join(words) + "\0" if words else "")
    if executable:
        (folder / "exe").symlink_to(executable)


@pytest.fixture
def root(tmp_path) -> Path:
    (tmp_path / "proc" / "sys").mkdir(parents=True)
    return tmp_path


def lines(root: Path, *names: str, words: str = "") -> list[str]:
    seen = running(Eye(root=str(root)), "processes", names, words)
    assert seen.trouble is Trouble.NONE
    return seen.text.splitlines()


def test_a_daemon(root) -> None:
    add(root, 40, "/usr/sbin/chronyd", "/usr/sbin/chronyd", "-F", "1")
    add(root, 41, "/usr/sbin/sshd", "sshd: listener")
    assert lines(root, "chronyd") == ["40\tS\t7\t/usr/sbin/chronyd\t/usr/sbin/chronyd -F 1"]
    assert lines(root, "/usr/sbin/chronyd") == lines(root, "chronyd")


def test_a_state_is_told(root) -> None:
    add(root, 40, "/usr/sbin/chronyd", "chronyd", state="T (stopped)")
    assert lines(root, "chronyd")[0].split("\t")[1] == "T"


def test_a_script(root) -> None:
    add(root, 40, "/usr/bin/python3.11", "/usr/bin/python3", "/usr/bin/fail2ban-server", "-xf")
    assert len(lines(root, "fail2ban-server")) == 1


def test_an_upgraded_one_that_was_not_restarted(root) -> None:
    add(root, 40, "/usr/sbin/clamd (deleted)", "clamd")
    assert lines(root, "clamd") == ["40\tS\t7\t/usr/sbin/clamd\tclamd"]


def test_a_zombie_has_but_its_name(root) -> None:
    add(root, 40, "", state="Z (zombie)", name="fail2ban-server")
    assert lines(root, "fail2ban-server") == ["40\tZ\t7\t\t"]


def test_a_name_alone_is_nobody(root) -> None:
    add(root, 40, "/usr/bin/sleep", "clamd", name="clamd")
    add(root, 41, "/tmp/clamd", "/usr/sbin/clamd", name="clamd")
    add(root, 42, "/usr/bin/python3.11", "python3", "/home/eve/clamd")
    add(root, 43, "/usr/bin/tail", "tail", "/usr/sbin/clamd")
    assert lines(root, "clamd") == []


def test_a_containers_is_not_the_hosts(root) -> None:
    add(root, 40, "/usr/sbin/clamd", "clamd", spaces="40\t7")
    assert lines(root, "clamd") == []


def test_words_of_its_command_line(root) -> None:
    add(root, 40, "/usr/sbin/clamd", "clamd", "-c", "/etc/clamd.d/scan.conf")
    assert len(lines(root, "clamd", words="scan.conf")) == 1
    assert lines(root, "clamd", words="amavis.conf") == []


def test_a_process_can_not_break_the_list(root) -> None:
    add(root, 40, "/usr/sbin/clamd", "clamd\n1\tS\t0\t/usr/sbin/clamd\tx", name="clamd")
    assert [line.split("\t")[0] for line in lines(root, "clamd")] == ["40"]


def test_processes_that_go_while_they_are_looked_at(root) -> None:
    (root / "proc" / "40").mkdir()
    (root / "proc" / "41").mkdir()
    (root / "proc" / "41" / "status").write_text("Name:\tx\n")
    assert lines(root, "clamd") == []


def test_no_processes_at_all(tmp_path) -> None:
    assert running(Eye(root=str(tmp_path)), "processes", ["clamd"]).trouble is Trouble.FAILED


def test_those_that_are_known_are_looked_at_alone_for_a_while(root, monkeypatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    add(root, 40, "/usr/sbin/clamd", "clamd")
    assert numbers(root, "clamd") == ["40"]
    add(root, 41, "/usr/sbin/clamd", "clamd")
    assert numbers(root, "clamd") == ["40"], "no other is looked for"
    clock[0] += programs.KNOWN_S
    assert numbers(root, "clamd") == ["40", "41"]


@pytest.mark.parametrize("state", ["T (stopped)", "t (tracing stop)", "Z (zombie)", "X (dead)"])
def test_a_known_one_that_is_not_well_is_told_at_once(root, state) -> None:
    add(root, 40, "/usr/sbin/clamd", "clamd")
    assert numbers(root, "clamd") == ["40"]
    shutil.rmtree(root / "proc" / "40")
    add(root, 40, "/usr/sbin/clamd", "clamd", state=state)
    add(root, 41, "/usr/sbin/clamd", "clamd")
    assert [line.split("\t")[:2] for line in lines(root, "clamd")] == [
        ["40", state[0]],
        ["41", "S"],
    ]


def test_a_known_one_that_ended_is_looked_for_anew(root) -> None:
    add(root, 40, "/usr/sbin/clamd", "clamd")
    assert numbers(root, "clamd") == ["40"]
    shutil.rmtree(root / "proc" / "40")
    add(root, 40, "/usr/bin/sleep", "sleep")  # its number is another's now
    assert numbers(root, "clamd") == []
    add(root, 50, "/usr/sbin/clamd", "clamd")
    assert numbers(root, "clamd") == ["50"]


def numbers(root: Path, *names: str) -> list[str]:
    return [line.split("\t")[0] for line in lines(root, *names)]


def test_a_daemon_that_is_not_installed_is_not_looked_for(root) -> None:
    add(root, 40, "/usr/sbin/auditd", "auditd")
    program, processes = programs.alive(Eye(folders=[], root=str(root)), ["auditd"])
    assert (program.trouble, processes.trouble) == (Trouble.MISSING, Trouble.MISSING)


def test_installed(tmp_path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    tool = folder / "tool"
    tool.write_text("")
    eye = Eye(folders=[str(folder)], root=str(tmp_path))
    assert installed(eye, "program", ["tool"]).trouble is Trouble.MISSING
    tool.chmod(0o755)
    assert installed(eye, "program", ["other", "tool"]).text == str(tool)
    assert installed(eye, "program", ["/bin/tool"]).text == "/bin/tool"
    assert installed(eye, "program", ["/bin/other"]).trouble is Trouble.MISSING


def of_name(root: Path, process: str, executable: str = "") -> list[str]:
    seen = named(Eye(root=str(root)), "processes", process, executable)
    assert seen.trouble is Trouble.NONE
    return [line.split("\t")[0] for line in seen.text.splitlines()]


def test_processes_by_their_name(root) -> None:
    add(root, 40, "/opt/edr/falcon-sensor-with-a-long-name", "falcon", name="falcon-sensor-w")
    add(root, 41, "/tmp/falcon", "falcon", name="falcon-sensor-w")
    add(root, 42, "/usr/bin/other", "falcon", spaces="42\t3", name="falcon-sensor-w")
    add(root, 43, "", name="falcon-sensor-w", state="Z (zombie)")
    add(root, 44, "/usr/bin/other", "falcon-sensor-with-a-long-name", name="other")
    assert of_name(root, "falcon-sensor-with-a-long-name") == ["40", "41", "43"]
    program = "/opt/edr/falcon-sensor-with-a-long-name"
    assert of_name(root, "falcon-sensor-with-a-long-name", program) == ["40", "43"]
    assert of_name(root, "nothing") == []
