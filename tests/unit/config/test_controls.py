"""Controls files: a control with its checks, complete with what its kinds leave unsaid; what is wrong is named by line."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hullmark.config import Controls, load_controls, load_controls_file
from hullmark.errors import InvalidInput, Problem
from hullmark.model.checkkinds import KINDS
from hullmark.model.control import CheckSpec, Condition

SHIPPED = """\
controls:
  - id: time-x
    function: time
    title: Time by x
    rationale: |
      Records without a time
      prove nothing.
    condition: any
    remediation: start x
    checks:
      - id: daemon
        kind: process
        name: x
      - {id: age, kind: file_age, path: /run/x, at_most: 5m, interval: 2m, timeout: 3s, level: 1}
  - id: log-y
    function: local-logging
    title: Logs by y
    checks: [{id: unit, kind: unit, name: y.service, interval: 2s}]
"""


class Folders:
    def __init__(self, root: Path) -> None:
        self.ours, self.site = root / "shipped", root / "controls.d"
        self.ours.mkdir()
        self.site.mkdir(mode=0o755)
        self.ours.joinpath("all.yaml").write_text(SHIPPED)

    def load(self) -> Controls:
        return load_controls(str(self.ours), str(self.site))

    def add(self, text: str, name: str = "site.yaml") -> Path:
        file = self.site / name
        file.write_text(text)
        return file

    def problems(self) -> tuple[str, ...]:
        with pytest.raises(InvalidInput) as caught:
            self.load()
        assert "hullmark config check control" in caught.value.remedy
        return tuple(str(each) for each in caught.value.problems)


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path)


def one(check: str) -> str:
    """A control with this check, whose own lines begin in line 5."""
    return f"controls:\n  - id: mine\n    function: time\n    title: Mine\n    checks: [{check}]\n"


def test_a_control_has_all_that_its_file_and_kinds_say(folders: Folders) -> None:
    found = folders.load()
    log, time = found.specs
    file = str(folders.ours / "all.yaml")
    assert found.files == (file,)
    assert (time.control_id, time.function, time.title) == ("time-x", "time", "Time by x")
    assert (time.rationale, time.condition) == (
        "Records without a time prove nothing.",
        Condition.ANY,
    )
    assert (time.remediation, time.enabled, time.file, time.line) == ("start x", True, file, 2)
    assert time.checks == (
        CheckSpec(
            "daemon",
            "process",
            1,
            10.0,
            5.0,
            {
                "name": "x",
                "executable": None,
                "at_least": 1,
                "if_missing": "fail",
            },
            file,
            11,
        ),
        CheckSpec(
            "age",
            "file_age",
            1,
            120.0,
            3.0,
            {"path": "/run/x", "at_most": 300.0, "not_empty": True, "if_missing": "fail"},
            file,
            14,
        ),
    )
    assert log.condition is Condition.ALL
    assert log.checks[0].timeout_s == 2.0  # never longer than its interval


def test_a_sites_control_replaces_a_shipped_one_whole(folders: Folders) -> None:
    before = folders.load().digest
    file = folders.add(
        "controls:\n- {id: time-x, function: time, title: By us,"
        " checks: [{id: a, kind: command, argv: [/bin/true]}]}\n"
        "- {id: own, function: site-edr, title: Ours,"
        " checks: [{id: a, kind: listener, port: 1}]}\n"
    )
    found = folders.load()
    assert [each.control_id for each in found.specs] == ["log-y", "own", "time-x"]
    replaced = found.specs[2]
    assert (replaced.title, replaced.rationale, replaced.file) == ("By us", "", str(file))
    assert [each.check_id for each in replaced.checks] == ["a"]
    assert found.files[-1] == str(file)
    assert found.digest != before
    file.unlink()
    assert folders.load().digest == before


def test_a_site_switches_a_shipped_control_off(folders: Folders) -> None:
    file = folders.add("# not ours\ncontrols:\n- id: time-x\n  enabled: false\n")
    off = folders.load().specs[1]
    assert (off.control_id, off.enabled, off.title) == ("time-x", False, "Time by x")
    assert (off.file, off.line) == (str(file), 3)
    assert len(off.checks) == 2


def test_what_is_not_shipped_can_not_be_switched_off(folders: Folders) -> None:
    file = folders.add("controls:\n- {id: time-y, enabled: false}\n")
    (problem,) = folders.problems()
    assert problem.startswith(f"{file}:2: enabled: no control time-y is shipped")
    assert "did you mean time-x?" in problem


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ("{id: a, kind: proces, name: x}", "mine.a.kind: bad value 'proces'; did you mean process?"),
        ("{id: a, kind: 7}", "mine.a.kind: bad value (allowed: "),
        ("{id: a, name: x}", "mine.checks[0]: has no kind"),
        ("{id: a, kind: process}", "mine.a: has no name"),
        ("{id: a, kind: process, nam: x}", "mine.a.nam: unknown key; did you mean name?"),
        ("{id: a, kind: process, name: x, zzz: 1}", "mine.a.zzz: unknown key (allowed: id, kind, "),
        ("{id: a, kind: process, name: [x]}", "mine.a.name: bad value (allowed: text of one line)"),
        ("{id: A, kind: process, name: x}", "mine.checks[0].id: bad value 'A'"),
        ("{id: a, kind: process, name: x, level: 2}", "mine.a.level: bad value (allowed: a whole number from 0 to 1 (running)"),
        ("{id: a, kind: process, name: x, level: true}", "mine.a.level: bad value"),
        ("{id: a, kind: process, name: x, interval: 5}", ""),
        ("{id: a, kind: process, name: x, interval: soon}", "mine.a.interval: bad value 'soon' (allowed: a duration"),
        ("{id: a, kind: process, name: x, interval: 0s}", "mine.a.interval: bad value '0s'"),
        ("{id: a, kind: process, name: x, timeout: 20s}", "mine.a.timeout: longer than the interval"),
        ("{id: a, kind: file_age, path: run/x, at_most: 1d}", "mine.a.path: bad value 'run/x' (allowed: an absolute path"),
        ("{id: a, kind: file_age, path: /a/../b, at_most: 1d}", "mine.a.path: bad value"),
        ("{id: a, kind: file_age, path: /a, at_most: 1y}", "mine.a.at_most: bad value '1y' (allowed: a duration, such as 90s"),
        ("{id: a, kind: file_content, path: /a}", "mine.a: has nothing to judge by (allowed: one of must_match, must_not_match)"),
        ("{id: a, kind: file_content, path: /a, must_match: '('}", "mine.a.must_match: bad value '(' (allowed: a regular expression"),
        ("{id: a, kind: file_content, path: /a, must_match: '(a+)+b'}", "no bracket is repeated"),
        ("{id: a, kind: command, argv: [/bin/true], at_most: 3}", "mine.a.at_most: means nothing without number"),
        ("{id: a, kind: command, argv: /bin/true}", "mine.a.argv: bad value '/bin/true' (allowed: a list of texts"),
        ("{id: a, kind: command, argv: [/bin/true], codes: [a]}", "mine.a.codes: bad value (allowed: a list of whole numbers"),
        ("{id: a, kind: listener, port: 22, protocol: icmp}", "mine.a.protocol: bad value 'icmp' (allowed: tcp, udp)"),
        ("{id: a, kind: listener, port: 22, listens: 1}", "mine.a.listens: bad value (allowed: true or false)"),
        ("{id: a, kind: unit, name: a.service}, {id: a, kind: unit, name: b.service}", "mine.checks[1].id: a stands here and in line 5"),
        ("{id: a, kind: log_canary, files: [/a], within: 20s}", "mine.a.within: not shorter than the timeout (allowed: less than 20s)"),
        ("{id: a, kind: log_canary, files: [/a], timeout: 5s}", "mine.a.within: not shorter than the timeout (allowed: less than 5s)"),
        ("{id: a, kind: log_canary, files: [/a], write_by: [/usr/bin/logger, x]}", "mine.a.write_by: bad value (allowed: a list of texts with {text} in one"),
        ("a", "mine.checks[0]: not a mapping"),
        ("", "mine.checks: no list of checks"),
    ],
)  # fmt: skip
def test_a_check_that_is_wrong_is_named_by_line(folders: Folders, check: str, said: str) -> None:
    file = folders.add(one(check))
    if not said:
        assert folders.load().specs
        return
    problem = folders.problems()[0]
    assert problem.startswith(f"{file}:5: ")
    assert said in problem
    with pytest.raises(InvalidInput):
        load_controls_file(str(file), str(folders.ours))


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", None, "is empty"),
        ("\0\1", None, "not a text file"),
        ("- id: a\n", 1, "not a mapping"),
        ("controls: {}\n", 1, "controls: not a list"),
        ("controls: [a]\n", 1, "controls[0]: not a mapping"),
        ("contrls: []\n", 1, "did you mean controls?"),
        ("controls:\n- id: a\n  id: b\n", 3, "id"),
        ("controls:\n- enabled: false\n", 2, "controls[0]: has no"),
        ("controls:\n- id: a\n", 2, "a: has no"),
        ("controls:\n- {id: a, function: tim, title: T, checks: 1}\n", 2, "did you mean time?"),
        ("controls:\n- {id: a, function: site-, title: T, checks: 1}\n", 2, "site-NAME"),
        ("controls:\n- {id: a, function: time, titel: T, checks: 1}\n", 2, "did you mean title?"),
        ("controls:\n- {id: a, condition: most, checks: 1}\n", 2, "all, any, none"),
        ("controls:\n- {id: a, enabled: no, checks: 1}\n", 2, "true or false"),
        ("controls: [\n", 1, "not YAML"),
    ],
)
def test_a_file_that_is_wrong_is_named_by_line(
    folders: Folders, text: str, line: int, said: str
) -> None:
    file = folders.add(text)
    problems = folders.problems()
    place = f"{file}:{line}: " if line else f"{file}: "
    assert all(each.startswith(place) for each in problems), problems
    assert any(said in each for each in problems), problems


def test_two_controls_of_a_site_with_one_id_are_a_mistake(folders: Folders) -> None:
    first = folders.add(one("{id: a, kind: unit, name: a.service}"), "a.yaml")
    second = folders.add("controls:\n- {id: mine, enabled: false}\n", "b.yaml")
    (problem,) = [each for each in folders.problems() if "stands here" in each]
    assert problem == f"{second}:2: id: mine stands here and in {first}:2"


def test_all_problems_of_all_files_are_told_together(folders: Folders) -> None:
    folders.add(one("{id: a, kind: x}, {id: b, kind: unit, name: 1, zzz: 2}"), "a.yaml")
    folders.add("controls: 1\n", "b.yaml")
    folders.add("controls: []\n", "c.yml")
    folders.add("controls: []\n", "d.yaml").chmod(0o666)
    (folders.site / "e.yaml").symlink_to(folders.site / "b.yaml")
    folders.site.chmod(0o777)
    told = "\n".join(folders.problems())
    for part in (
        "a.yaml:5: mine.a.kind:",
        "a.yaml:5: mine.b.name:",
        "a.yaml:5: mine.b.zzz:",
        "b.yaml:1: controls: not a list",
        "c.yml: would not be read",
        "d.yaml: may be written by everybody",
        "e.yaml: is a symbolic link",
        f"{folders.site}: may be written by everybody",
    ):
        assert part in told


def test_a_huge_file_is_refused(folders: Folders) -> None:
    folders.add("#" * ((1 << 20) + 1))
    (problem,) = folders.problems()
    assert "larger than 1024 KiB" in problem


def test_a_folder_without_shipped_controls_is_a_mistake(folders: Folders) -> None:
    (folders.ours / "all.yaml").unlink()
    (problem,) = folders.problems()
    assert problem.startswith(f"{folders.ours}: no controls are there")


def test_the_sites_folder_need_not_exist(folders: Folders) -> None:
    folders.site.rmdir()
    assert len(folders.load().specs) == 2


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60), st.sampled_from(["id", "kind", "name", "interval", "level", "title"]))
def test_whatever_stands_there_is_read_or_refused_by_name(text: str, key: str) -> None:
    check = {"id": "a", "kind": "process", "name": "x"}
    control = {"id": "m", "function": "time", "title": "t", "checks": [check]}
    (control if key == "title" else check)[key] = text
    with tempfile.TemporaryDirectory() as folder:
        ours, file = Path(folder, "ours"), Path(folder, "b.yaml")
        ours.mkdir()
        (ours / "a.yaml").write_text(SHIPPED)
        file.write_text(json.dumps({"controls": [control]}))
        problems: tuple[Problem, ...] = ()
        try:
            load_controls_file(str(file), str(ours))
        except InvalidInput as error:
            problems = error.problems
        assert all(each.file == str(file) for each in problems)


ODD: tuple[object, ...] = (
    None,
    [],
    {},
    [[]],
    [{}],
    {"a": 1},
    0,
    -1,
    1e300,
    True,
    "",
    " ",
    "\u0007",
    "x" * 3000,
    "a.b/..",
)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_is_put_anywhere_no_other_error_is_raised(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(KINDS)))
    check: dict[str, object] = {"id": "a", "kind": kind}
    for name in KINDS[kind].parameters:
        if data.draw(st.booleans()):
            check[name] = data.draw(st.sampled_from(ODD))
    control: dict[str, object] = {"id": "m", "function": "time", "title": "t", "checks": [check]}
    for place in (check, control):
        for name in ("id", "interval", "timeout", "level", "condition", "enabled", "rationale"):
            if data.draw(st.integers(0, 9)) == 0:
                place[name] = data.draw(st.sampled_from(ODD))
    with tempfile.TemporaryDirectory() as folder:
        ours, file = Path(folder, "ours"), Path(folder, "b.yaml")
        ours.mkdir()
        (ours / "a.yaml").write_text(SHIPPED)
        file.write_text(json.dumps({"controls": [control, data.draw(st.sampled_from(ODD))]}))
        with pytest.raises(InvalidInput) as caught:
            load_controls_file(str(file), str(ours))
        assert all(each.file == str(file) and each.line for each in caught.value.problems)
