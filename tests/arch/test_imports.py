"""The source keeps the rules of `rules`; and the survey that says so does see breaches."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Optional

import pytest

from tests.arch import rules, survey

SOURCE = Path(__file__).resolve().parents[2] / "agent" / "hullmark"


def test_source_keeps_the_rules() -> None:
    modules = survey.read(SOURCE)
    assert len(modules) > len(rules.ROOMS)
    assert survey.breaches(modules) == []


def test_rooms() -> None:
    assert survey.folder_breaches(SOURCE) == []


def test_broad_excepts_are_still_there() -> None:
    """The list of exceptions shrinks with the code."""
    for path, why in rules.BROAD_EXCEPTS.items():
        assert why
        assert "except Exception" in (SOURCE / path).read_text(), path


def test_the_table_has_no_cycle_between_rooms() -> None:
    def reaches(room: str) -> set[str]:
        direct = rules.ROOMS[room].rooms
        return set(direct).union(*(reaches(each) for each in direct))

    assert [room for room in rules.ROOMS if room in reaches(room)] == []


@pytest.mark.parametrize(
    ("path", "source", "breach"),
    [
        ("model/app.py", "import yaml", "model may not import the library yaml"),
        ("model/app.py", "from hullmark.core import plan", "model may not import core"),
        ("model/app.py", "from hullmark import core", "model may not import core"),
        ("model/app.py", "from ..store import protocol", "model may not import store"),
        ("core/plan.py", "import time", "may not import time"),
        ("core/plan.py", "from hullmark import log", "may not import hullmark"),
        ("core/plan.py", "from os import path", "may not import os"),
        ("core/plan.py", "def f():\n    import random", "may not import random"),
        ("core/plan.py", "import requests", "core may not import the library requests"),
        ("core/plan.py", "from datetime import datetime\ndatetime.now()", "may not call now()"),
        ("core/plan.py", "open('x')", "may not call open()"),
        ("document/read.py", "import hullmark.model.app", "document may not import model"),
        ("compose/read.py", "import hullmark.config", "compose may not import config"),
        ("engine/docker.py", "from hullmark.store import x", "engine may not import store"),
        ("agentd/run.py", "from hullmark.masterd import x", "agentd may not import masterd"),
        ("masterd/run.py", "import hullmark.agentd.sync", "masterd may not import agentd"),
        ("cli/ps.py", "from hullmark.masterd import x", "cli may not import masterd"),
        (
            "cli/ps.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from hullmark.agentd import x",
            "cli may not import agentd",
        ),
        ("footprint/x.py", "from hullmark.engine.x import Y", "engine is not on every host"),
        ("footprint/x.py", "from hullmark import engine", "engine is not on every host"),
        ("cli/ps.py", "import hullmark.engine.x", "engine is not on every host"),
        ("cli/ps.py", "from hullmark import tools", "neither a room nor a shared module"),
        ("errors.py", "from hullmark.model import x", "may not import model"),
        ("store/etcd.py", "try:\n    x\nexcept:\n    pass", "catches everything"),
        (
            "store/etcd.py",
            "try:\n    x\nexcept (OSError, Exception):\n    pass",
            "catches everything",
        ),
        (
            "store/etcd.py",
            "import contextlib\nwith contextlib.suppress(Exception):\n    x",
            "suppresses everything",
        ),
        ("engine/x.py", "c.post('/containers/create')", "post() changes the engine outside"),
        ("engine/x.py", "c.call('POST', '/x')", "call() changes the engine outside"),
        ("engine/x.py", "c.stream(method, '/x')", "stream() changes the engine outside"),
        ("engine/x.py", "with g.passing(d): pass\nc.delete('/x')", "delete() changes the engine"),
        ("engine/x.py", "with c.stream('POST', '/x'): pass", "stream() changes the engine"),
        ("agentd/x.py", "import docker.errors", "only the room engine talks with engines"),
        ("store/etcd.py", "x = 1\n" * 401, "401 lines"),
        ("store/util.py", "", "util says nothing"),
        ("store/node_manager.py", "", "node_manager says nothing"),
        ("store/base/sql.py", "", "base says nothing"),
    ],
)
def test_survey_sees(tmp_path: Path, path: str, source: str, breach: str) -> None:
    assert any(breach in each for each in _survey(tmp_path, path, source))


@pytest.mark.parametrize(
    ("path", "source"),
    [
        (
            "model/app.py",
            "import dataclasses\nfrom hullmark.errors import Refused\nfrom hullmark import __version__",
        ),
        (
            "model/app.py",
            "from hullmark.model.names import Name\nfrom .names import Name\nfrom . import names",
        ),
        ("core/plan.py", "from hullmark.model import app\nfrom datetime import timedelta"),
        ("document/read.py", "import yaml\nimport hullmark\nprint(hullmark.__version__)"),
        ("agentd/run.py", "import requests\nimport os\nfrom hullmark.engine import Engine"),
        ("footprint/x.py", "def f():\n    from hullmark.engine import x"),
        (
            "footprint/x.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from hullmark.engine import x",
        ),
        ("store/sqlite.py", "try:\n    x\nexcept OSError:\n    pass"),
        ("store/sqlite.py", "try:\n    x\nexcept BaseException:\n    y\n    raise"),
    ],
)
def test_survey_lets_pass(tmp_path: Path, path: str, source: str) -> None:
    assert _survey(tmp_path, path, source) == []


def test_survey_sees_rooms(tmp_path: Path) -> None:
    for name in [*rules.ROOMS, "attic"]:
        _write(tmp_path / name / "__init__.py", '"""A sign."""')
    _write(tmp_path / "core" / "__init__.py", "x = 1")
    (tmp_path / "store" / "__init__.py").unlink()
    found = "\n".join(survey.folder_breaches(tmp_path))
    assert "attic: no such room" in found
    assert "core/__init__.py: no docstring" in found
    assert "store: the room is missing" in found


def _write(path: Path, text: Optional[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text or "")


def _survey(folder: Path, path: str, source: str) -> list[str]:
    ast.parse(source)
    _write(folder / path, source)
    return survey.breaches(survey.read(folder))
