from __future__ import annotations

from pathlib import Path

import pytest

from hullmark.compose.variables import looks_secret
from tests.unit.compose.apps import build, problems, web, web_problems, web_text, web_warnings


@pytest.mark.parametrize(
    "lines",
    [
        "environment: {A: 1, B: two, C: true, D: 0.5, E: '', F: 'x=y'}",
        "environment: [A=1, B=two, C=true, D=0.5, E=, F=x=y]",
    ],
)
def test_forms(lines: str) -> None:
    expected = {"A": "1", "B": "two", "C": "true", "D": "0.5", "E": "", "F": "x=y"}
    assert web(lines).container.environment == expected


@pytest.mark.parametrize("lines", ["environment: {HERE: , GONE: }", "environment: [HERE, GONE]"])
def test_a_name_alone_takes_what_is_there(lines: str) -> None:
    app, warnings = build(web_text(lines), environment={"HERE": "x"})
    assert app.services["web"].container.environment == {"HERE": "x"}
    assert len(warnings) == 1
    assert "GONE has no value here" in warnings[0]


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("environment: text", "services.web.environment: this value does not fit here"),
        ("environment: {'A B': hush}", "environment.A B: not a name that fits here"),
        ("environment: ['=hush']", "environment[0]: not a name that fits here"),
        ("environment: {A: [hush]}", "environment.A: this value does not fit here"),
        ("environment: [[hush]]", "environment[0]: this value does not fit here"),
    ],
)
def test_wrong_and_never_quoted(lines: str, problem: str) -> None:
    found = web_problems(lines)
    assert found[0].startswith("compose.yaml:4: services.web.")
    assert problem in found[0]
    assert not any("hush" in line for line in found)


def test_a_value_of_the_environment_that_no_container_can_have() -> None:
    found = problems(web_text("environment: [A]"), environment={"A": "hush\udc80"})
    assert "the value of A in the environment is not text" in found[0]


def test_env_files(tmp_path: Path) -> None:
    (tmp_path / "one.env").write_text("A=1\nB=1\nC=$X\n")
    (tmp_path / "two.env").write_text("B=2\nD='$X'\n")
    (tmp_path / "raw.env").write_text("E=$X 'y'\n")
    lines = """
        env_file:
          - one.env
          - ./two.env
          - {path: raw.env, format: raw}
          - {path: gone.env, required: false}
        environment: {A: mine}
    """
    found = web(lines, folder=tmp_path, environment={"X": "x"}).container.environment
    assert found == {"A": "mine", "B": "2", "C": "x", "D": "$X", "E": "$X 'y'"}
    assert web("env_file: one.env", folder=tmp_path).container.environment["A"] == "1"


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("env_file: gone.env", "services.web.env_file: "),
        ("env_file: [gone.env]", "gone.env does not exist (allowed: a file, or `required: false`)"),
        ("env_file: [{path: gone.env}]", "services.web.env_file[0].path: "),
        ("env_file: [{required: false}]", "names no path"),
        ("env_file: [{path: a, x-note: 1}]", "x-note: unknown key"),
        ("env_file: [{path: a, format: toml}]", "(allowed: raw)"),
        ("env_file: [[a]]", "a list does not fit here"),
    ],
)
def test_wrong_env_files(tmp_path: Path, lines: str, problem: str) -> None:
    assert problem in "\n".join(web_problems(lines, folder=tmp_path))


def test_an_env_file_that_is_wrong_names_its_own_line(tmp_path: Path) -> None:
    (tmp_path / "a.env").write_text("A=1\n=hush\n")
    found = web_problems("env_file: a.env", folder=tmp_path)
    assert f"{tmp_path / 'a.env'}:2: " in found[0]


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("POSTGRES_PASSWORD", "hunter2", True),
        ("MYSQL_ROOT_PASSWORD", "hunter2", True),
        ("db_password", "hunter2", True),
        ("SESSION_SECRET", "hunter2", True),
        ("GITHUB_TOKEN", "hunter2", True),
        ("AWS_SECRET_ACCESS_KEY", "hunter2", True),
        ("API_KEY", "hunter2", True),
        ("POSTGRES_PASSWORD_FILE", "/run/secrets/db", False),
        ("DB_PASSWORD", "/run/secrets/db", False),
        ("ALLOW_EMPTY_PASSWORD", "yes", False),
        ("MYSQL_RANDOM_ROOT_PASSWORD", "1", False),
        ("DB_PASSWORD", "", False),
        ("KEYCLOAK_USER", "admin", False),
        ("MONKEY", "x", False),
    ],
)
def test_what_looks_like_a_password(name: str, value: str, secret: bool) -> None:
    assert looks_secret(name, value) is secret


def test_a_password_gets_a_warning_that_does_not_say_it(tmp_path: Path) -> None:
    found = web_warnings("environment:\n  DB_PASSWORD: hunter2")
    assert found[0].startswith("compose.yaml:5: services.web.environment.DB_PASSWORD: ")
    assert "`secrets`" in found[0]
    (tmp_path / "a.env").write_text("DB_PASSWORD=hunter2\n")
    found += web_warnings("env_file: a.env", folder=tmp_path)
    assert len(found) == 2
    assert not any("hunter2" in line for line in found)
