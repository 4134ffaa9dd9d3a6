"""Main file, drop-ins, and what is said of each kind of mistake."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from hullmark import config
from hullmark.config import keys, loading, values
from hullmark.errors import InvalidInput


@pytest.fixture
def main(tmp_path: Path) -> Path:
    (tmp_path / "agent.d").mkdir()
    return tmp_path / "agent.yaml"


def wrong(path: Path) -> list[str]:
    """The problems, without the folder's name."""
    with pytest.raises(InvalidInput) as caught:
        config.load_agent(str(path))
    assert caught.value.remedy
    return [str(one).replace(f"{path.parent}/", "") for one in caught.value.problems]


# defaults


@pytest.mark.parametrize(
    ("table", "cls"), [(keys.AGENT_KEYS, keys.AgentConfig), (keys.MASTER_KEYS, keys.MasterConfig)]
)
def test_every_key_has_a_field_a_meaning_and_a_default_that_it_would_accept(
    table: tuple[keys.Key, ...], cls: Any
) -> None:
    assert [key.field for key in table] == [field.name for field in dataclasses.fields(cls)]
    for key in table:
        given = list(key.default) if isinstance(key.default, tuple) else key.default
        assert key.read(given) == key.default, key.name
        assert key.meaning


def test_defaults(main: Path) -> None:
    main.touch()
    loaded = config.load_agent(str(main))
    assert loaded.config.state_dir == "/var/lib/hullmark/agent"
    assert loaded.config.poll_hold == 4.0
    assert set(loaded.sources.values()) == {"default"}
    master = config.load_master(str(main)).config
    assert (master.api_listen, master.agents_listen) == ("0.0.0.0:7442", "0.0.0.0:7441")


@pytest.mark.parametrize("content", ["", "---\n", "# nothing\n", "engine:\n  # socket: x\n", "{}"])
def test_a_file_that_sets_nothing(main: Path, content: str) -> None:
    main.write_text(content)
    assert set(config.load_agent(str(main)).sources.values()) == {"default"}


def test_only_the_standard_file_may_be_missing(main: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert wrong(main) == ["agent.yaml: does not exist"]
    monkeypatch.setattr(loading, "AGENT_FILE", str(main))
    (main.parent / "agent.d/a.yaml").write_text("parallel: 3")
    assert config.load_agent(str(main)).config.parallel == 3
    main.symlink_to(main)  # there, but unreadable
    assert "symbolic links" in wrong(main)[0]


# where values come from


def test_drop_ins_come_after_the_main_file_in_lexical_order(main: Path) -> None:
    main.write_text("parallel: 1\nlog_level: debug\nengine:\n  subnet_prefix: 24\n")
    for name, text in {
        "10-a.yaml": "parallel: 10\npoll_hold: 1s",
        "9-b.yaml": "parallel: 9",
        "A.yaml": "poll_hold: 500ms",
    }.items():
        (main.parent / "agent.d" / name).write_text(text)
    loaded = config.load_agent(str(main))
    assert (loaded.config.parallel, loaded.config.poll_hold) == (9, 0.5)
    assert loaded.config.log_level == "debug"
    folder = main.parent
    assert loaded.sources["parallel"] == f"{folder}/agent.d/9-b.yaml:1"
    assert loaded.sources["poll_hold"] == f"{folder}/agent.d/A.yaml:1"
    assert loaded.sources["engine.subnet_prefix"] == f"{main}:4"
    assert loaded.sources["state_dir"] == "default"


def test_hidden_files_and_other_names_are_not_read(main: Path) -> None:
    main.touch()
    for name in (".draft.yaml", "README", "old.yaml.bak", "x.yaml~"):
        (main.parent / "agent.d" / name).write_text("nonsense: [")
    assert config.load_agent(str(main))


def test_a_drop_in_that_would_be_passed_over_is_an_error(main: Path) -> None:
    main.touch()
    (main.parent / "agent.d/a.yml").write_text("parallel: 3")
    assert wrong(main) == ["agent.d/a.yml: would not be read (allowed: NAME.yaml)"]


def test_dotted_and_nested_keys_are_the_same(main: Path) -> None:
    main.write_text("engine.socket: unix:///a\nengine:\n  subnet_prefix: 26\n")
    loaded = config.load_agent(str(main))
    assert loaded.config.engine_socket == "unix:///a"
    assert loaded.config.engine_subnet_prefix == 26


def test_a_key_stands_once_in_a_file(main: Path) -> None:
    main.write_text("engine.subnet_prefix: 25\nengine:\n  subnet_prefix: 26\n")
    found = wrong(main)
    assert len(found) == 1
    assert found[0].startswith("agent.yaml:3: engine.subnet_prefix: stands here and in ")
    assert found[0].endswith("agent.yaml:1")
    main.write_text("parallel: 2\nparallel: 3\n")
    assert wrong(main) == ["agent.yaml:2: key 'parallel' stands here and in line 1"]


# mistakes


def test_every_problem_of_every_file_is_named_at_once(main: Path) -> None:
    main.write_text("paralel: 3\nlog_level: loud\n")
    (main.parent / "agent.d/a.yaml").write_text("engine:\n  sockets: x\n  subnets: 10.0.0.1/8\n")
    (main.parent / "agent.d/b.yaml").write_text("- a\n")
    (main.parent / "agent.d/c.yaml").write_text("a: [\n")
    found = wrong(main)
    assert found[0].startswith(
        "agent.yaml:1: paralel: unknown key; did you mean parallel? (allowed: "
    )
    assert found[1] == (
        "agent.yaml:2: log_level: bad value 'loud' (allowed: debug, info, warning, error)"
    )
    assert "agent.d/a.yaml:2: engine.sockets: unknown key; did you mean engine.socket?" in found[2]
    assert found[3].startswith(
        "agent.d/a.yaml:3: engine.subnets: bad value '10.0.0.1/8' (allowed: an IPv4"
    )
    assert found[4] == "agent.d/b.yaml:1: not a mapping (allowed: KEY: VALUE lines)"
    assert found[5].startswith("agent.d/c.yaml:1: not YAML: ")
    assert len(found) == 6


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("engine: 5", "agent.yaml:1: engine: not a mapping (allowed: KEY: VALUE lines)"),
        ("state_dir:", "agent.yaml:1: state_dir: bad value (allowed: an absolute path)"),
        ("state_dir: {a: b}", "agent.yaml:1: state_dir: bad value (allowed: an absolute path)"),
        ("enigne: {}", "agent.yaml:1: enigne: unknown key; did you mean engine?"),
        (
            "parallel: 900",
            "agent.yaml:1: parallel: bad value '900' (allowed: a whole number from 1 to 64)",
        ),
        ("zzz: 1", "agent.yaml:1: zzz: unknown key (allowed: "),
        ("5: 1", "agent.yaml:1: 5: unknown key (allowed: "),
        ("state_dir: !env X", "agent.yaml:1: tag '!env' is not known here (allowed: none)"),
        ("engine.subnet_prefix.x: 1", "agent.yaml:1: engine.subnet_prefix.x: unknown key"),
    ],
)
def test_a_mistake(main: Path, text: str, problem: str) -> None:
    main.write_text(text)
    assert wrong(main)[0].startswith(problem)


# what is shown


def test_shown_has_every_key_with_its_source(main: Path) -> None:
    main.write_text("masters:\n  - https://m1:7441\n")
    loaded = config.load_agent(str(main))
    rows = config.shown(loaded, "agent")
    assert [row["key"] for row in rows] == [key.name for key in keys.AGENT_KEYS]
    index = [key.name for key in keys.AGENT_KEYS].index("masters")
    assert rows[index] == {
        "key": "masters",
        "value": ["https://m1:7441"],
        "source": f"{main}:1",
        "meaning": keys.AGENT_KEYS[index].meaning,
    }
    assert {row["source"] for row in rows} == {"default", f"{main}:1"}


def test_no_key_takes_a_secret() -> None:
    """`config show` prints every value: what is secret belongs into files of its own."""
    for key in (*keys.AGENT_KEYS, *keys.MASTER_KEYS):
        if key.read is values.path_or_none:
            continue  # where the secret is
        assert not {"password", "token", "secret", "key"} & set(
            key.name.replace(".", "_").split("_")
        )
