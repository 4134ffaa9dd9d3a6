"""Whole files: images, names, all problems at once, and where the whole is wrong."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings

from hullmark.compose import services
from hullmark.compose.check import check
from hullmark.errors import InvalidInput, Problem
from hullmark.model.loadline import Required
from tests.unit.compose import documents
from tests.unit.compose.apps import build, problems, project, web_text

BUILT = "services: {web: {build: .}, db: {image: db}}"


def test_build_needs_an_image_by_name() -> None:
    found = problems(BUILT)
    assert len(found) == 1
    assert found[0].startswith("compose.yaml:1: services.web.build: is not supported: ")
    assert "build it, push it, and pass --image web=" in found[0]
    assert "builds no images" in problems("services: {web: {build: ., image: web}}")[0]
    app, warnings = build(BUILT, images={"web": "registry.example/web:1"})
    assert app.services["web"].container.image == "registry.example/web:1"
    assert warnings == ()


def test_images_of_the_command_line() -> None:
    assert (
        build(web_text(""), images={"web": "other"})[0].services["web"].container.image == "other"
    )
    found = problems(web_text(""), images={"wbe": "x"})
    assert found == ["--image: there is no service wbe (allowed: web)"]
    assert "--image web=A B names no image" in problems(web_text(""), images={"web": "A B"})[0]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name: shop", "services: no services"),
        ("services: {}", "no services"),
        ("services: []", "services: a list does not fit here (allowed: a mapping)"),
        (
            "services: {web: nginx}",
            'services.web: "nginx" does not fit here (allowed: a mapping with',
        ),
        ("services: {web: }", "services.web: has no value (allowed: a mapping with"),
        (
            "services: {web: {}}",
            "services.web: names no image (allowed: image: [REGISTRY/]NAME[:TAG])",
        ),
        ("services: {web: {image: 5}}", "services.web.image: 5 does not fit here"),
        ("services: {web: {image: A/B}}", "[REGISTRY/]NAME[:TAG][@sha256:...]"),
        (
            f"services: {{web: {{image: 'sha256:{'0' * 64}'}}}}",
            "an image ID means nothing elsewhere",
        ),
        ("services: {-web: {image: x}}", "not a name that fits here"),
        ("services: {web: {image: x, imge: y}}", "unknown key; did you mean image?"),
        ("services: {web: {image: x, zzz: y}}", "unknown key (allowed: annotations, attach"),
        (
            "services: {web: {image: x}}\nservice: {}",
            "service: unknown key; did you mean services?",
        ),
        ("services: {web: {image: x}}\nx-hullmark: {a: 1}", "x-hullmark.a: unknown key"),
        ("services: {web: {image: x}}\nx-hullmark: 7", "x-hullmark: 7 does not fit here"),
        (
            "services: {web: {image: x}}\nx-hullmark: {require: [A]}",
            'x-hullmark.require[0]: "A" does not fit here',
        ),
        (
            "services: {web: {image: x, x-hullmark: {scope: pci}}}",
            "services.web.x-hullmark.scope:",
        ),
        (
            "services: {web: {image: x, deploy: {x-hullmark: 1}}}",
            "no meaning here (allowed: under a service)",
        ),
    ],
)
def test_wrong(text: str, problem: str) -> None:
    found = problems(text)
    assert len(found) == 1
    assert found[0].startswith(f"compose.yaml:{text.count(chr(10)) + 1}: ")
    assert problem in found[0].replace("compose.yaml:1: no", "compose.yaml:1: services: no")


def test_extensions_are_ignored_where_the_specification_has_them() -> None:
    text = """
        x-top: {anything: [at, all]}
        services:
          web:
            image: nginx
            x-note: 1
            ports: [{target: 80, published: 80, x-note: 1}]
            healthcheck: {test: [CMD, x], x-note: 1}
            deploy: {x-note: 1, resources: {x-note: 1, limits: {x-note: 1}}}
            logging: {x-note: 1}
        networks: {default: {x-note: 1}}
        volumes: {data: {x-note: 1}}
    """
    assert build(text)[1] == ()


def test_what_the_app_requires_each_of_its_services_does() -> None:
    text = """
        x-hullmark: {require: [audit-trail, {control: time, level: 2}]}
        services:
          web: {image: nginx, x-hullmark: {require: [firewall, {control: time, level: 3}]}}
          db: {image: nginx, deploy: {replicas: 2}}
    """
    services = build(text)[0].services
    found = {
        name: dict(map(_pair, each.deploy.placement.require)) for name, each in services.items()
    }
    assert found == {
        "web": {"firewall": 0, "time": 3, "audit-trail": 0},
        "db": {"audit-trail": 0, "time": 2},
    }


def _pair(required: Required) -> tuple[str, int]:
    return required.control, required.level


def test_all_problems_come_at_once_in_order() -> None:
    text = """
        services:
          web: {image: nginx, ports: [x, y], userr: 5, environment: 5}
          db: {ports: [z], volumes: [data:/data]}
    """
    found = [line.split(": ")[1] for line in problems(text)]
    assert sorted(found) == [
        "services.db",
        "services.db.ports[0]",
        "services.db.volumes[0]",
        "services.web.environment",
        "services.web.ports[0]",
        "services.web.ports[1]",
        "services.web.userr",
    ]


def test_the_whole_has_to_fit_the_store(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).write_bytes(name.encode() * (250 << 10))
    more = "configs: {a: {file: a}, b: {file: b}, c: {file: c}}"
    assert "the app takes" in problems(web_text("", more), tmp_path)[0]


def test_what_only_the_check_sees_still_has_a_line() -> None:
    wrong = [Problem("odd", field="services.web.container.mounts[0].source")]
    with mock.patch.object(services, "check", return_value=wrong):
        found = problems(web_text("tty: true"))
    assert found == ["compose.yaml:2: services.web: odd"]
    wrong = [Problem("odd", field="services.web.container.ports[0].target")]
    with mock.patch.object(services, "check", return_value=wrong):
        found = problems(web_text("ports:\n- target: 80"))
    assert found == ["compose.yaml:5: services.web.ports[0].target: odd"]


@settings(max_examples=300, deadline=None)
@given(documents.files())
def test_what_is_built_passes_the_check_by_itself(text: str) -> None:
    """The reader alone lets nothing through that the master would refuse, and every problem has a line."""
    with mock.patch.object(services, "check", return_value=[]):
        try:
            app = services.build_app(project(text), {}).app
        except InvalidInput as error:
            without_place = [each for each in error.problems if not each.line or not each.file]
        else:
            without_place = list(check(app))
    assert without_place == []


def test_the_documents_of_the_property_reach_both_outcomes() -> None:
    """A guard: the property above is about apps, not about refusals only."""
    assert build(documents.GOOD)[0].services
