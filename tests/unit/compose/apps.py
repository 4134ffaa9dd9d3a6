"""Compose text to an app, for the tests of the translation."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Optional

import pytest

from hullmark.compose.check import check
from hullmark.compose.project import Project
from hullmark.compose.services import build_app
from hullmark.document import MapValue, parse
from hullmark.errors import InvalidInput
from hullmark.model import wire
from hullmark.model.app import App, ContainerSpec, Service

FILE = "compose.yaml"
FOLDER = Path("/nowhere")


def project(
    text: str, folder: Path = FOLDER, environment: Optional[Mapping[str, str]] = None
) -> Project:
    document = parse(textwrap.dedent(text).encode(), FILE)
    assert isinstance(document, MapValue)
    return Project("shop", folder, document, environment or {})


def build(
    text: str,
    folder: Path = FOLDER,
    environment: Optional[Mapping[str, str]] = None,
    images: Optional[Mapping[str, str]] = None,
) -> tuple[App, tuple[str, ...]]:
    """The app and its warnings. Whatever is built passes the master's check and goes over the wire."""
    loaded = build_app(project(text, folder, environment), images or {})
    app = loaded.app
    assert check(app) == []
    assert wire.from_wire(App, wire.to_wire(app)) == app
    assert set(loaded.notes) <= set(loaded.warnings)
    return app, loaded.warnings


def problems(
    text: str,
    folder: Path = FOLDER,
    environment: Optional[Mapping[str, str]] = None,
    images: Optional[Mapping[str, str]] = None,
) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        build_app(project(text, folder, environment), images or {})
    return [str(problem) for problem in caught.value.problems]


def web_text(lines: str, more: str = "") -> str:
    """One service `web` with these keys, from line 4 on, and what else stands in the file."""
    inner = textwrap.indent(textwrap.dedent(lines).strip("\n"), "    ")
    return f"services:\n  web:\n    image: nginx\n{inner}\n{more}"


def web(
    lines: str,
    more: str = "",
    folder: Path = FOLDER,
    environment: Optional[Mapping[str, str]] = None,
) -> Service:
    return build(web_text(lines, more), folder, environment)[0].services["web"]


def container(lines: str, more: str = "") -> ContainerSpec:
    return web(lines, more).container


def web_warnings(lines: str, more: str = "", folder: Path = FOLDER) -> list[str]:
    return list(build(web_text(lines, more), folder)[1])


def web_problems(lines: str, more: str = "", folder: Path = FOLDER) -> list[str]:
    return problems(web_text(lines, more), folder)
