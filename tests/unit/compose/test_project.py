"""Files to one document: variables, names, profiles, and which file is wrong where."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from hullmark.compose.project import read_project
from hullmark.document import line_of
from hullmark.errors import InvalidInput
from tests.unit.compose.files import problems, project, write

WEB = "services: {web: {image: nginx}}\n"


def test_variables_come_from_the_environment_then_from_dotenv(tmp_path: Path) -> None:
    found = project(
        tmp_path,
        "services:\n  web:\n    image: ${IMAGE}:${TAG:-1}\n    cpus: ${CPUS}\n    init: true\n",
        others={".env": "IMAGE=nginx\nTAG=2\nCPUS=0.5\n"},
        environment={"TAG": "3"},
    )
    assert found.document["services"]["web"] == {"image": "nginx:3", "cpus": "0.5", "init": True}
    assert (found.environment["TAG"], found.environment["IMAGE"]) == ("3", "nginx")
    assert found.warnings == ()


def test_named_env_files_take_the_place_of_dotenv(tmp_path: Path) -> None:
    write(tmp_path, {".env": "A=dot", "one.env": "A=1\nB=1", "two.env": "B=2\nC=$A"})
    files = [str(tmp_path / "one.env"), str(tmp_path / "two.env")]
    found = project(tmp_path, "services: {web: {image: '$A$B$C'}}", env_files=files)
    assert found.document["services"]["web"]["image"] == "121"
    missing = problems(tmp_path, WEB, env_files=[str(tmp_path / "none.env")])
    assert missing == ["none.env: does not exist"]


def test_a_dotenv_that_is_a_folder_is_another_tools(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    assert project(tmp_path, WEB).name


def test_a_wrong_dotenv_is_named(tmp_path: Path) -> None:
    wrong = problems(tmp_path, WEB, others={".env": "A=1\nB='x"})
    assert wrong == [".env:2: a quote that is not closed"]


def test_unset_variables_are_warnings(tmp_path: Path) -> None:
    found = project(
        tmp_path,
        "x-fragment: &f\n  A: $NONE\nservices:\n  web:\n    image: n:$TAG\n    environment: *f\n"
        "    labels:\n      - a=$TAG$TAG\n",
        others={".env": "B=$C\n"},
    )
    assert [line.replace(f"{tmp_path}/", "") for line in found.warnings] == [
        ".env:1: variable C is not set: left empty",
        "compose.yaml:5: services.web.image: variable TAG is not set: left empty",
        "compose.yaml:2: services.web.environment.A: variable NONE is not set: left empty",
        "compose.yaml:8: services.web.labels[0]: variable TAG is not set: left empty",
    ]


def test_keys_are_not_filled_in(tmp_path: Path) -> None:
    found = project(tmp_path, "services: {web: {labels: {$A: $A}}}", environment={"A": "1"})
    assert found.document["services"]["web"]["labels"] == {"$A": "1"}


def test_malformed_variables_are_all_named(tmp_path: Path) -> None:
    allowed = (
        " (allowed: $NAME, ${NAME}, ${NAME:-default}, ${NAME:?message}, ${NAME:+other},"
        " $$ for a dollar sign)"
    )
    assert problems(
        tmp_path,
        "services:\n  web:\n    image: ${A:?give the image}\n    command: echo $1\n"
        "    environment:\n      - PASSWORD=hunter2$\n",
        "services:\n  web:\n    user: ${B\n",
    ) == [
        "compose.yaml:3: services.web.image: variable A is not set: give the image",
        "compose.yaml:4: services.web.command: `$` begins no variable" + allowed,
        "compose.yaml:6: services.web.environment[0]: `$` begins no variable" + allowed,
        "1.yaml:3: services.web.user: `${B` has no `}`" + allowed,
    ]


def test_files_are_merged_and_keep_their_places(tmp_path: Path) -> None:
    found = project(tmp_path, WEB, "services:\n  web:\n    user: '1'\n  db: {image: db}\n")
    services = found.document["services"]
    assert services == {"web": {"image": "nginx", "user": "1"}, "db": {"image": "db"}}
    assert line_of(services["web"], "image") == (str(tmp_path / "compose.yaml"), 1)
    assert line_of(services["web"], "user") == (str(tmp_path / "1.yaml"), 3)
    assert found.folder == tmp_path


def test_tags_mean_nothing_in_a_first_file(tmp_path: Path) -> None:
    found = project(
        tmp_path, "services: {web: {image: !override a, user: !reset b, dns: [!reset c]}}"
    )
    assert found.document["services"]["web"] == {"image": "a", "dns": []}


def test_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(WEB.encode())))
    found = read_project(["-"], project_name="shop", environment={})
    assert (found.name, found.folder) == ("shop", tmp_path)
    assert line_of(found.document, "services") == ("standard input", 1)


@pytest.mark.parametrize(
    ("argument", "variables", "line", "folder", "name"),
    [
        ("given", {"COMPOSE_PROJECT_NAME": "env"}, "name: file", "folder", "given"),
        ("", {"COMPOSE_PROJECT_NAME": "env"}, "name: file", "folder", "env"),
        ("", {}, "name: file", "folder", "file"),
        ("", {"STAGE": "test"}, "name: shop-${STAGE}", "folder", "shop-test"),
        ("", {}, "name: 2048", "folder", "2048"),
        ("", {}, "", "My Shop (2)_", "myshop2_"),
        ("", {}, "name:", "_-x.y", "xy"),
    ],
)
def test_names(
    tmp_path: Path, argument: str, variables: dict[str, str], line: str, folder: str, name: str
) -> None:
    (tmp_path / folder).mkdir()
    text = f"{line}\nservices: {{web: {{image: '$COMPOSE_PROJECT_NAME'}}}}"
    found = project(tmp_path / folder, text, project_name=argument, environment=variables)
    assert found.name == name
    assert found.document["services"]["web"]["image"] == name


def test_the_last_files_name_counts(tmp_path: Path) -> None:
    found = project(tmp_path, "name: a\n" + WEB, "name: b", WEB)
    assert found.name == "b"
    (warning,) = found.warnings
    first, last = tmp_path / "compose.yaml", tmp_path / "1.yaml"
    assert warning == f"{first}:1: name: several files are one app, and {last} names it b"


def test_several_names_are_fine_where_it_is_said_which(tmp_path: Path) -> None:
    files = ("name: a\n" + WEB, "name: b")
    assert project(tmp_path, *files, project_name="c").warnings == ()
    assert project(tmp_path, *files, environment={"COMPOSE_PROJECT_NAME": "c"}).warnings == ()
    assert project(tmp_path, files[0], files[0], WEB).warnings == ()


def test_names_that_do_not_fit(tmp_path: Path) -> None:
    allowed = (
        "(allowed: up to 63 lower-case letters, digits, - and _, the first a letter or a digit)"
    )
    assert problems(tmp_path, "name: My Shop\n" + WEB) == [
        f"compose.yaml:1: name: not a name for an app {allowed}"
    ]
    assert problems(tmp_path, "name: [a]\n" + WEB) == [
        f"compose.yaml:1: name: not a name for an app {allowed}"
    ]
    assert problems(tmp_path, WEB, project_name="../x") == [
        f"the project name does not fit {allowed}"
    ]
    assert problems(tmp_path, WEB, environment={"COMPOSE_PROJECT_NAME": "A"}) == [
        f"COMPOSE_PROJECT_NAME does not fit {allowed}"
    ]
    (tmp_path / "日本").mkdir()
    assert problems(tmp_path / "日本", WEB) == [
        "compose.yaml: the folder '日本' gives the app no name: set `name:` in the file"
    ]


PROFILES = """
services:
  foo: {image: foo}
  bar: {image: bar, profiles: [test]}
  baz: {image: baz, depends_on: [bar], profiles: [test]}
  zot: {image: zot, depends_on: {bar: {condition: service_started}}, profiles: [debug]}
  opt: {image: opt, depends_on: {bar: {condition: service_started, required: false}, foo: {condition: service_healthy}}}
"""


@pytest.mark.parametrize(
    ("asked", "variable", "expected"),
    [
        ([], "", {"foo", "opt"}),
        (["test"], "", {"foo", "opt", "bar", "baz"}),
        ([], "test", {"foo", "opt", "bar", "baz"}),
        ([], "debug, test", {"foo", "opt", "bar", "baz", "zot"}),
        (["test"], "debug", {"foo", "opt", "bar", "baz"}),
        (["*"], "", {"foo", "opt", "bar", "baz", "zot"}),
    ],
)
def test_profiles(tmp_path: Path, asked: list[str], variable: str, expected: set[str]) -> None:
    environment = {"COMPOSE_PROFILES": variable}
    found = project(tmp_path, PROFILES, profiles=asked, environment=environment)
    services = found.document["services"]
    assert set(services) == expected
    kept = {"foo", "bar"} if "bar" in expected else {"foo"}
    assert set(services["opt"]["depends_on"]) == kept


def test_a_service_that_needs_one_of_another_profile(tmp_path: Path) -> None:
    assert problems(tmp_path, PROFILES, profiles=["debug"]) == [
        (
            "compose.yaml:6: services.zot.depends_on: service bar is not there without one of its"
            " profiles: test (allowed: a profile asked for, or `required: false`)"
        )
    ]
    linked = "services:\n  a: {image: a, links: ['b:c']}\n  b: {image: b, profiles: [x, y]}"
    assert (
        "service b is not there without one of its profiles: x, y" in problems(tmp_path, linked)[0]
    )


def test_profiles_that_are_wrong(tmp_path: Path) -> None:
    text = "services:\n  a: {profiles: x}\n  b:\n    profiles: [x, -, '*']\n"
    assert problems(tmp_path, text) == [
        "compose.yaml:2: services.a.profiles: not a list (allowed: a list of names)",
        (
            "compose.yaml:4: services.b.profiles[1]: not a profile's name"
            " (allowed: letters, digits, _ . -, the first a letter or a digit)"
        ),
    ]


def test_the_first_format_is_named(tmp_path: Path) -> None:
    assert problems(tmp_path, "web:\n  image: nginx\ndb:\n  image: db\n") == [
        (
            "compose.yaml:1: web: a service at the top level, as in Compose's first format"
            " (allowed: services: below `services`)"
        )
    ]


def test_a_thousand_services_are_enough(tmp_path: Path) -> None:
    def services(letter: str, count: int) -> str:
        return "services:\n" + "".join(f"  {letter}{n}: {{image: a}}\n" for n in range(count))

    assert len(project(tmp_path, services("a", 1000)).document["services"]) == 1000
    allowed = "services in one app (allowed: 1000 of them)"
    assert problems(tmp_path, services("a", 1001)) == [f"compose.yaml:1: services: 1001 {allowed}"]
    assert problems(tmp_path, services("a", 600), services("b", 600)) == [
        f"1.yaml:1: services: 1200 {allowed}"
    ]


def test_files_that_are_wrong_are_all_named(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"empty.yaml": "# nothing\n", "list.yaml": "- a\n", "broken.yaml": "a: 1\nb: c: d\n"},
    )
    names = ["empty.yaml", "list.yaml", "broken.yaml", "none.yaml"]
    with pytest.raises(InvalidInput) as caught:
        read_project([str(tmp_path / name) for name in names], environment={})
    found = [(Path(each.file).name, each.line) for each in caught.value.problems]
    assert found == [("empty.yaml", 1), ("list.yaml", 1), ("broken.yaml", 2), ("none.yaml", None)]
    with pytest.raises(InvalidInput, match="no Compose file"):
        read_project([], environment={})
