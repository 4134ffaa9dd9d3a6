"""A fake master, and the command line called as a shell would."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Callable

import pytest

from hullmark.cli import controlsource
from hullmark.cli.main import hullmark
from tests.unit.cli.fakemaster import FakeMaster


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        return json.loads(self.err)


Run = Callable[..., Done]


@pytest.fixture
def master(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeMaster]:
    """Named by HULLMARK_MASTER. Its socket's path has to be short (unix(7))."""
    folder = tempfile.mkdtemp(prefix="hm-")
    found = FakeMaster(f"{folder}/m.sock")
    monkeypatch.setenv("HULLMARK_MASTER", found.url)
    yield found
    found.stop()
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HULLMARK_MASTER", "HULLMARK_TOKEN_FILE", "HULLMARK_CA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TZ", "UTC")


@pytest.fixture(scope="session")
def _nobodys_agent(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("agent")
    file = folder / "agent.yaml"
    file.write_text(f"run_dir: {folder / 'run'}\n")
    return str(file)


@pytest.fixture(autouse=True)
def _no_agent_here(monkeypatch: pytest.MonkeyPatch, _nobodys_agent: str) -> None:
    """`hullmark controls` asks this machine's agent where one has run, as tests of other suites have one run."""
    monkeypatch.setattr(controlsource, "AGENT_FILE", _nobodys_agent)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str) -> Done:
        with pytest.raises(SystemExit) as ended:
            hullmark.main(list(arguments))
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Done(ended.value.code, captured.out, captured.err)

    return run
