"""Files that want to do harm: each is refused within a second of work and bounded memory."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path
from typing import Union

import pytest

from hullmark.compose import load
from hullmark.compose.findings import MAX_PROBLEMS
from hullmark.errors import InvalidInput
from tests.effort import at_most

SECONDS = 5.0
"""What multiplies takes minutes; a busy machine makes a second of processor time out of a tenth."""
MEMORY_BYTES = 128 << 20

HEAD = "services:\n  web:\n    image: nginx\n"


def refused(path: Union[str, Path], **environment: str) -> str:
    """The messages."""
    with at_most(SECONDS), pytest.raises(InvalidInput) as caught:
        load([str(path)], environment=environment)
    assert all(problem.message for problem in caught.value.problems)
    return str(caught.value)


def written(folder: Path, content: Union[str, bytes]) -> Path:
    path = folder / "compose.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def lines(form: str, count: int) -> str:
    return "".join(form.replace("N", str(number)) for number in range(count))


CONTENTS = {
    "empty": (b"", "is empty"),
    "only comments": (b"# nothing\n\n# at all\n", "is empty"),
    "text": (b"hello\n", "is no Compose file"),
    "a number": (b"42", "is no Compose file"),
    "binary": (bytes(range(256)) * 4, "not a text file: it holds NUL bytes"),
    "an executable": (b"\x7fELF\x02\x01\x01" + b"\0" * 100, "not a text file"),
    "not UTF-8": (b"services:\n  w\xe9b: {}\n", "compose.yaml:2: not UTF-8 text"),
    "UTF-16": ("services: {}".encode("utf-16"), "not a text file"),
    "control characters": (b"services: {a: {image: \x1b[2J}}", "not YAML"),
    "escaped NUL": (b'services: {a: {image: "a\\0b"}}', "compose.yaml:1"),
    "large": (b"a: b\n" * 300_000, "larger than 1024 KiB"),
    "two documents": (b"services: {}\n---\nservices: {}\n", "compose.yaml:2: a second document"),
    "duplicate keys": (b"services:\n  a: {image: a}\n  a: {image: b}\n", "compose.yaml:3: key 'a'"),
    "python tag": (b"services: !!python/object/apply:os.system [id]", "tag "),
    "a tag": (b"services: !secret {a: b}", "tag "),
    "a key that is a list": (b"services: {[a]: b}", "a key that is a mapping or a list"),
    "no services": (b"version: '3'\n", "no services"),
    "services that are nothing": (b"services:\n", "no services"),
    "services that are a list": (b"services: [web]", "services"),
    "a service that is text": (b"services: {web: nginx}", "services.web"),
    "a service that is nothing": (b"services: {web: }", "services.web"),
    "an unknown key": (b"servises: {web: {image: a}}", "did you mean services?"),
    "include": (b"include: [other.yaml]\nservices: {a: {image: b}}", "compose.yaml:1: include"),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_contents(tmp_path: Path, name: str) -> None:
    content, message = CONTENTS[name]
    assert message in refused(written(tmp_path, content))


BOMBS = {
    "aliases": "a: &a [x,x,x,x,x,x,x,x,x]\n"
    + "".join(
        f"{this}: &{this} [{','.join(['*' + last] * 9)}]\n"
        for last, this in zip("abcdefghi", "bcdefghij")
    )
    + "services: *j",
    "merges": "x: &x {"
    + lines("kN: v, ", 500)
    + "}\nservices:\n"
    + lines("  sN: {<<: [*x, *x, *x]}\n", 2000),
    "deep flow": "services: " + "[" * 300_000,
    "deep dashes": "services:\n  " + "- " * 300_000,
    "deep mappings": "".join(" " * depth + "a:\n" for depth in range(1000)),
    "deep aliases": "x0: &x0 [a]\n" + lines("xN1: &xN1 [[[[[[*xN]]]]]]\n", 1)
    + "".join(f"y{n}: &y{n} [{'*x0' if n == 0 else f'*y{n - 1}'}]\n" for n in range(5000))
    + "services: *y4999",
    "anchors": lines("aN: &aN x\n", 49_000),
    "values": "services:\n" + lines("  sN: {image: a}\n", 30_000),
    "a long line": HEAD + "    user: '" + "x" * 1_000_000 + "'",
    "a long key": "services: {" + "x" * 1_000_000 + ": {image: a}}",
    "question marks": "? " * 300_000,
    "directives": "%YAML 1.2\n" * 50_000,
    "open quote": HEAD + "    user: '" + "x\n" * 400_000,
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_bombs(tmp_path: Path, name: str) -> None:
    refused(written(tmp_path, BOMBS[name]))


VARIABLE_BOMBS = {
    "a line of variables": (HEAD + "    user: '" + "$A" * 450_000 + "'", "too many variables"),
    "many values": (
        HEAD + "    environment:\n" + lines("      AN: $A\n", 100),
        "variables make the text too long",
    ),
    "nested defaults": (
        HEAD + "    user: '" + "${B:-" * 1000 + "}" * 1000 + "'",
        "nested deeper than 20 levels",
    ),
    "nested open": (HEAD + "    user: '" + "${B:-" * 90_000 + "'", "nested deeper than 20 levels"),
    "open braces": (HEAD + "    user: '${B:-" + "{" * 900_000 + "'", "without its `}`"),
    "wide defaults": (
        HEAD + "    user: '" + "${B:-${B:-$A$A$A$A}}" * 1000 + "'",
        "variables make the text too long",
    ),
}


@pytest.mark.parametrize("name", VARIABLE_BOMBS)
def test_variable_bombs(tmp_path: Path, name: str) -> None:
    content, message = VARIABLE_BOMBS[name]
    assert message in refused(written(tmp_path, content), A="x" * 100_000)


MULTIPLIED = {
    "circles": "services:\n" + lines("  sN: {extends: sN}\n", 900),
    "missing files": "services:\n" + lines("  sN: {extends: {file: fN.yaml, service: a}}\n", 900),
    "copies": "services:\n  b: {environment: {"
    + lines("kN: v, ", 20_000)
    + "}}\n"
    + lines("  sN: {extends: b}\n", 900),
    "profiles": "services:\n"
    + lines("  sN: {profiles: [x], depends_on: [s1]}\n", 500)
    + lines("  tN: {depends_on: [s1]}\n", 500),
    "dependencies": "services:\n" + lines("  sN: {image: a, depends_on: [sN]}\n", 900),
    "services": "services:\n" + lines("  sN: {image: a}\n", 5000),
    "ports": HEAD + "    ports:\n" + lines('      - "1-65535"\n', 5000),
    "ranges of ports": "services:\n"
    + lines("  sN:\n    image: a\n    ports: [1-900, 1-900, 1-900, 1-900]\n", 900),
    "ranges of exposed ports": "services:\n"
    + lines("  sN:\n    image: a\n    expose: [1-900, 1-900, 1-900]\n", 900),
    "one config many times": HEAD + "configs:\n" + lines("  cN: {file: big.env}\n", 10_000),
    "one env_file many times": "services:\n"
    + lines("  sN: {image: a, env_file: [big.env, big.env]}\n", 500),
    "dollars": HEAD + "    environment:\n" + lines("      AN: $\n", 40_000),
    "lists": HEAD + "    labels:\n" + lines("      - [N]\n", 20_000),
    "unknown keys": lines("kN: v\n", 40_000),
}


@pytest.mark.parametrize("name", MULTIPLIED)
def test_what_multiplies(tmp_path: Path, name: str) -> None:
    (tmp_path / "big.env").write_text(lines("AN=xxxxxxxx\n", 15_000))
    path = written(tmp_path, MULTIPLIED[name])
    assert refused(path).count("\n") <= MAX_PROBLEMS


@pytest.mark.parametrize("name", ["values", "aliases", "merges", "a long line"])
def test_memory_is_bounded(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, BOMBS[name])
    tracemalloc.start()
    try:
        with pytest.raises(InvalidInput):
            load([str(path)], environment={})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MEMORY_BYTES


def test_fifty_megabytes(tmp_path: Path) -> None:
    path = written(tmp_path, "services:\n")
    os.truncate(path, 50 << 20)
    assert "larger than 1024 KiB" in refused(path)


def test_paths_that_lead_to_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "nothing").symlink_to("none")
    for path, message in {
        tmp_path: "is a folder",
        tmp_path / "none.yaml": "does not exist",
        tmp_path / "fifo": "is not a regular file",
        tmp_path / "zero": "is not a regular file",
        tmp_path / "loop": "symbolic links",
        tmp_path / "nothing": "does not exist",
        tmp_path / ("x" * 300): "name too long",
        Path("/dev/full"): "is not a regular file",
        Path("/proc/self/mem"): "/proc/self/mem",
        Path("/proc/self/environ"): "/proc/self/environ",
    }.items():
        assert message in refused(path)


@pytest.mark.parametrize(
    "text",
    [
        "services: {web: {image: a, volumes: ['PATH:/x']}}",
        "services: {web: {image: a, volumes: [{type: bind, source: PATH, target: /x}]}}",
        "services: {web: {image: a, configs: [c]}}\nconfigs: {c: {file: PATH}}",
    ],
    ids=["short bind", "long bind", "config"],
)
def test_files_outside_are_not_shipped(tmp_path: Path, text: str) -> None:
    (tmp_path / "secret").write_text("hunter2")
    folder = tmp_path / "app"
    folder.mkdir()
    os.mkfifo(folder / "fifo")
    (folder / "link").symlink_to("../secret")
    (folder / "folder").symlink_to("..")
    (folder / "shadow").symlink_to("/etc/shadow")
    for path in (
        "../secret",
        "./../../../../../../../etc/shadow",
        "./link",
        "./folder/secret",
        "./shadow",
        "./fifo",
        ".",
        "./none/../../secret",
    ):
        message = refused(written(folder, text.replace("PATH", path)))
        assert "hunter2" not in message
        assert any(
            reason in message for reason in ("leads out of", "is a named pipe", "is a folder")
        ), message


@pytest.mark.parametrize("path", ["/etc/shadow", "/dev/zero", "/proc/kmsg"])
def test_configs_from_elsewhere_are_not_shipped(tmp_path: Path, path: str) -> None:
    text = f"services: {{web: {{image: a, configs: [c]}}}}\nconfigs: {{c: {{file: {path}}}}}"
    assert "leads out of the project's folder" in refused(written(tmp_path, text))


def test_env_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "bomb").write_text("A=" + "x" * 9000 + "\n" + lines("A=$A$A\n", 60))
    (tmp_path / "binary").write_bytes(b"A=\0\n")
    for path, message in {
        "fifo": "is not a regular file",
        "/dev/zero": "is not a regular file",
        "bomb": "the value of A is too long",
        "binary": "NUL",
        ".": "is a folder",
        "none": "does not exist",
        "-": "does not exist",
    }.items():
        text = f"services: {{web: {{image: a, env_file: ['{path}']}}}}"
        assert message in refused(written(tmp_path, text))


def test_extended_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path, message in {
        "fifo": "is not a regular file",
        "/dev/zero": "is not a regular file",
        "-": "does not exist",
        ".": "is a folder",
        "compose.yaml": "services extend each other",
    }.items():
        text = f"services: {{web: {{extends: {{file: '{path}', service: web}}}}}}"
        assert message in refused(written(tmp_path, text))
