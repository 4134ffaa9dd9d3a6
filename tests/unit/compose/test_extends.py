"""Services that begin as copies of others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hullmark.document import line_of
from tests.unit.compose.files import problems, project


def services(folder: Path, *contents: str, **arguments: Any) -> Any:
    return project(folder, *contents, **arguments).document["services"]


def test_in_the_same_file(tmp_path: Path) -> None:
    found = services(
        tmp_path,
        """
services:
  base: {image: a, environment: {A: 1, B: 2}, ports: ["80:80"], command: [x]}
  short: {extends: base, environment: [B=3]}
  long: {extends: {service: short}, image: b, ports: !reset [], command: [y]}
""",
    )
    assert found["short"] == {
        "image": "a",
        "environment": {"A": 1, "B": "3"},
        "ports": ["80:80"],
        "command": ["x"],
    }
    assert found["long"] == {"image": "b", "environment": {"A": 1, "B": "3"}, "command": ["y"]}
    assert line_of(found["long"], "environment") == (str(tmp_path / "compose.yaml"), 4)


def test_from_another_file(tmp_path: Path) -> None:
    found = services(
        tmp_path,
        "services: {web: {extends: {file: common/base.yaml, service: base}, volumes: ['./own:/own']}}",
        others={
            "common/base.yaml": "services:\n"
            "  base: {extends: {file: more/root.yaml, service: root}, volumes: ['./a:/a', 'named:/b', '/c:/c', '~/d:/d'],"
            " env_file: [x.env, {path: ../y.env}]}\n",
            "common/more/root.yaml": "services:\n"
            "  root: {image: $IMAGE, volumes: [{type: bind, source: conf, target: /e}], env_file: z.env}\n"
            "  ignored: 3\n",
        },
        environment={"IMAGE": "nginx"},
    )
    assert found["web"] == {
        "image": "nginx",
        "volumes": [
            {"type": "bind", "source": "./common/more/conf", "target": "/e"},
            "./common/a:/a",
            "named:/b",
            "/c:/c",
            "~/d:/d",
            "./own:/own",
        ],
        "env_file": ["./common/more/z.env", "./common/x.env", {"path": "./y.env"}],
    }


def test_from_a_folder_above(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("services: {base: {volumes: ['./a:/a', '.:/b']}}")
    (tmp_path / "app").mkdir()
    text = "services: {web: {extends: {file: ../base.yaml, service: base}}}"
    assert services(tmp_path / "app", text)["web"]["volumes"] == ["../a:/a", "..:/b"]


def test_a_service_of_an_earlier_file(tmp_path: Path) -> None:
    found = services(
        tmp_path,
        "services: {base: {image: a}}",
        "services: {web: {extends: base, user: '1'}, base: {user: '2'}}",
        "services: {db: {extends: web}}",
    )
    # The second file's own `base` is nearer than the first file's.
    assert found["web"] == {"user": "1"}
    assert found["db"] == {"user": "1"}
    assert found["base"] == {"image": "a", "user": "2"}


def test_tags_reach_the_files_before(tmp_path: Path) -> None:
    found = services(
        tmp_path,
        'services: {web: {image: a, ports: ["80:80"], dns: [1.1.1.1]}}',
        'services: {base: {ports: ["81:81"]}, web: {extends: base, ports: !reset [], dns: !override [8.8.8.8]}}',
    )
    assert found["web"] == {"image": "a", "dns": ["8.8.8.8"]}


def test_circles_are_named(tmp_path: Path) -> None:
    assert problems(
        tmp_path,
        "services:\n  a: {extends: b}\n  b: {extends: c}\n  c: {extends: b}\n  d: {extends: d}\n",
    ) == [
        "compose.yaml:4: services.c.extends: services extend each other: b -> c -> b",
        "compose.yaml:5: services.d.extends: services extend each other: d -> d",
    ]


def test_circles_through_files_are_named(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        "services: {web: {extends: {file: x/a.yaml, service: a}}}",
        others={
            "x/a.yaml": "services: {a: {extends: {file: ../y/b.yaml, service: b}}}",
            "y/b.yaml": "services: {b: {extends: {file: ../x/a.yaml, service: a}}}",
        },
    )
    assert found == ["y/b.yaml:1: services.b.extends: services extend each other: a -> b -> a"]


def test_what_is_wrong(tmp_path: Path) -> None:
    allowed = "(allowed: a service, or a mapping with service and file)"
    assert problems(
        tmp_path,
        "services:\n"
        "  a: {extends: [b]}\n"
        "  b: {extends: {service: c, folder: x}}\n"
        "  c: {extends: none}\n"
        "  d: {extends: {file: none.yaml, service: a}}\n"
        "  e: {extends: {file: empty.yaml, service: a}}\n"
        "  f: {extends: {file: services.yaml, service: a}}\n"
        "  g: {extends: h}\n"
        "  h: 3\n",
        others={"empty.yaml": "", "services.yaml": "volumes:"},
    ) == [
        f"compose.yaml:2: services.a.extends: this does not name a service {allowed}",
        f"compose.yaml:3: services.b.extends: this does not name a service {allowed}",
        "compose.yaml:4: services.c.extends: there is no service 'none' in compose.yaml",
        "none.yaml: does not exist",
        "empty.yaml:1: is empty (allowed: a mapping with `services`)",
        "compose.yaml:7: services.f.extends: there are no services in services.yaml",
        "compose.yaml:8: services.g.extends: service 'h' in compose.yaml is no mapping",
    ]


def test_a_long_chain(tmp_path: Path) -> None:
    chain = "".join(f"  s{n}: {{extends: s{n + 1}}}\n" for n in range(500))
    found = problems(tmp_path, f"services:\n{chain}  s500: {{image: a}}\n")
    assert "a chain of services that extend each other is too long" in found[0]


def test_copies_that_multiply(tmp_path: Path) -> None:
    big = ", ".join(f"K{n}: v" for n in range(20_000))
    copies = "".join(f"  s{n}: {{extends: base}}\n" for n in range(900))
    found = problems(tmp_path, f"services:\n  base: {{environment: {{{big}}}}}\n{copies}")
    assert found == ["compose.yaml:12: services: services with `extends` become too large"]
