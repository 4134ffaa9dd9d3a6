from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path

import pytest

from hullmark.model.app import Config, FileRef, Secret
from tests.unit.compose.apps import build, container, web_problems, web_text, web_warnings

DECLARED = "configs: {site: {content: hello}}\nsecrets: {db: {file: /etc/db.key}}"


def config(content: bytes) -> Config:
    encoded = base64.b64encode(content).decode()
    return Config(encoded, hashlib.sha256(content).hexdigest(), len(content))


def test_configs_have_content(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\0\xff")
    more = f"""
configs:
  text: {{content: "a\\n"}}
  number: {{content: 5}}
  file: {{file: ./bytes}}
  absolute: {{file: {tmp_path}/bytes}}
  variable: {{environment: VAR, x-note: 1}}
"""
    app, _ = build(web_text("", more), tmp_path, {"VAR": "value"})
    assert app.configs == {
        "text": config(b"a\n"),
        "number": config(b"5"),
        "file": config(b"\0\xff"),
        "absolute": config(b"\0\xff"),
        "variable": config(b"value"),
    }


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("{}", "needs exactly one source (allowed: file, content or environment)"),
        ("{file: a, content: b}", "needs exactly one source"),
        ("{file: gone}", "file: "),
        ("{file: .}", "is a folder, not a regular file"),
        ("{file: pipe}", "is a named pipe, not a regular file"),
        ("{file: /dev/zero}", "leads out of the project's folder"),
        ("{file: big}", "is larger than 256 KiB (allowed: a regular file of at most 256 KiB)"),
        ("{file: [a]}", "a list does not fit here"),
        ("{content: [a]}", "a list does not fit here"),
        ("{environment: NOT_SET}", "variable NOT_SET is not set"),
        ("{external: true}", "external: is not supported"),
        ("{content: a, template_driver: golang}", "template_driver: is not supported"),
        ("{content: a, fil: b}", "unknown key; did you mean file?"),
        ("text", "a mapping with file, content"),
    ],
)
def test_wrong_configs(tmp_path: Path, entry: str, problem: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "big").write_bytes(b"x" * (300 << 10))
    found = web_problems("", f"configs:\n  c: {entry}", tmp_path)
    assert found[0].startswith("compose.yaml:6: configs.c")
    assert problem in found[0]


def test_secrets_are_paths_on_the_host_and_not_read() -> None:
    app, _ = build(web_text("", "secrets: {db: {file: /not/there}}"))
    assert app.secrets == {"db": Secret("/not/there")}


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("{file: ./db.key}", "a secret is not shipped"),
        ("{file: /etc/../db.key}", "an absolute path on the host"),
        ("{}", "names no file (allowed: file: /PATH/ON/THE/HOST)"),
        ("{environment: DB}", "a secret never leaves its host"),
        ("{external: true}", "a secret never leaves its host"),
        ("{driver: vault}", "driver: is not supported"),
    ],
)
def test_wrong_secrets(entry: str, problem: str) -> None:
    found = web_problems("", f"secrets:\n  db: {entry}")
    assert len(found) == 1
    assert found[0].startswith("compose.yaml:6: secrets.db")
    assert problem in found[0]


@pytest.mark.parametrize(
    ("lines", "configs", "secrets"),
    [
        ("configs: [site]", [FileRef("site", "/site")], []),
        ("configs: [{source: site}]", [FileRef("site", "/site")], []),
        ("configs: [{source: site, target: etc/x}]", [FileRef("site", "/etc/x")], []),
        (
            "configs: [{source: site, target: /x, uid: '1', gid: 2, mode: 0440}]",
            [FileRef("site", "/x", "1", "2", 0o440)],
            [],
        ),
        ("secrets: [db]", [], [FileRef("db", "/run/secrets/db")]),
        ("secrets: [{source: db, target: key}]", [], [FileRef("db", "/run/secrets/key")]),
        ("secrets: [{source: db, target: /etc/key}]", [], [FileRef("db", "/etc/key")]),
    ],
)
def test_references(lines: str, configs: list[FileRef], secrets: list[FileRef]) -> None:
    spec = container(lines, DECLARED)
    assert (list(spec.configs), list(spec.secrets)) == (configs, secrets)


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("configs: [sit]", "the app has no config sit (allowed: site)"),
        ("secrets: [sit]", "the app has no secret sit (allowed: db)"),
        ("configs: [{target: /x}]", "names no source"),
        ("configs: [{source: site, target: ../x}]", "without .."),
        ("configs: [{source: site, uid: root}]", "a user or group number"),
        ("configs: [{source: site, uid: '5000000000'}]", "a user or group number"),
        ("configs: [{source: site, mode: 01777}]", "permission bits"),
        ("configs: [{source: site, perm: 9}]", "unknown key"),
        ("configs: [site, site]", "/site in the container is the target of two"),
        ("configs: site", '"site" does not fit here (allowed: a list)'),
    ],
)
def test_wrong_references(lines: str, problem: str) -> None:
    found = web_problems(lines, DECLARED)
    assert found[0].startswith("compose.yaml:4: services.web")
    assert problem in found[0]


def test_a_secrets_owner_is_set_on_the_host() -> None:
    found = web_warnings("secrets: [{source: db, uid: '5', gid: '5', mode: 0400}]", DECLARED)
    assert [line.partition("ignored: ")[2] for line in found] == [
        "the file is mounted as it is; set its owner on the host",
        "the file is mounted as it is; set its group on the host",
        "the file is mounted as it is; set its mode on the host",
    ]
