"""The files that are shipped to /etc: every key with its default, and nothing but comments until somebody edits them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from hullmark.config import load_agent, load_master
from hullmark.config.keys import AGENT_KEYS, MASTER_KEYS, Key

CONF = Path(__file__).resolve().parents[3] / "conf"
COMMENTED_KEY = re.compile(r"^( *)# ([a-z_]+: .+)$", re.MULTILINE)


@pytest.mark.parametrize("kind", ["agent", "master"])
def test_as_shipped_all_is_default(kind: str) -> None:
    path = str(CONF / f"{kind}.yaml")
    sources = load_agent(path).sources if kind == "agent" else load_master(path).sources
    assert set(sources.values()) == {"default"}


@pytest.mark.parametrize(("kind", "keys"), [("agent", AGENT_KEYS), ("master", MASTER_KEYS)])
def test_every_key_is_there_with_its_default(
    tmp_path: Path, kind: str, keys: Sequence[Key]
) -> None:
    """With every comment that is a key made a key, the file says what holds without it."""
    text = (CONF / f"{kind}.yaml").read_text()
    file = tmp_path / f"{kind}.yaml"
    file.write_text(COMMENTED_KEY.sub(r"\1\2", text))
    loaded: Any = load_agent(str(file)) if kind == "agent" else load_master(str(file))
    config, sources = loaded.config, loaded.sources
    assert {name for name, source in sources.items() if source == "default"} == set()
    for key in keys:
        assert getattr(config, key.field) == key.default, key.name
