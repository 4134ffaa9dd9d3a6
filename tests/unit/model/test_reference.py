from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hullmark.errors import InvalidInput
from hullmark.model.reference import Reference, parse

DIGEST = "sha256:" + "0123456789abcdef" * 4
HUB = "docker.io"


@pytest.mark.parametrize(
    ("text", "registry", "repository", "tag", "digest"),
    [
        ("nginx", HUB, "library/nginx", "latest", ""),
        ("nginx:1.25-alpine", HUB, "library/nginx", "1.25-alpine", ""),
        ("grafana/grafana", HUB, "grafana/grafana", "latest", ""),
        ("docker.io/nginx", HUB, "library/nginx", "latest", ""),
        ("docker.io/library/nginx", HUB, "library/nginx", "latest", ""),
        ("index.docker.io/nginx", HUB, "library/nginx", "latest", ""),
        ("quay.io/a/b/c:V1_.2", "quay.io", "a/b/c", "V1_.2", ""),
        ("reg.example.com:5000/app", "reg.example.com:5000", "app", "latest", ""),
        ("reg:5000/app:2", "reg:5000", "app", "2", ""),
        ("127.0.0.1:5000/app", "127.0.0.1:5000", "app", "latest", ""),
        ("[::1]:5000/app", "[::1]:5000", "app", "latest", ""),
        ("[fd00::1]/app", "[fd00::1]", "app", "latest", ""),
        ("Reg.Example.com/app", "Reg.Example.com", "app", "latest", ""),
        ("localhost/app", "localhost", "app", "latest", ""),
        ("localhost:5000/app", "localhost:5000", "app", "latest", ""),
        ("reg/app", HUB, "reg/app", "latest", ""),
        ("a__b/c-d.e--f", HUB, "a__b/c-d.e--f", "latest", ""),
        (f"nginx@{DIGEST}", HUB, "library/nginx", "", DIGEST),
        (f"quay.io/x:1@{DIGEST}", "quay.io", "x", "1", DIGEST),
    ],
)
def test_references(text: str, registry: str, repository: str, tag: str, digest: str) -> None:
    assert parse(text) == Reference(registry, repository, tag, digest)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " nginx",
        "nginx\n",
        "nginx:",
        "nginx:.1",
        "nginx:" + "t" * 129,
        "Nginx",
        "Foo/bar",
        "a//b",
        "/a",
        "a/",
        "a___b",
        "a..b",
        "-a",
        "a@sha256:12",
        "a@md5:" + "0" * 32,
        f"a@{DIGEST.upper()}",
        "https://reg.example.com/a",
        "reg:port/a",
        "a" * 513,
        "é",
        "$IMAGE",
    ],
)
def test_what_is_no_reference(text: str) -> None:
    with pytest.raises(InvalidInput, match="image"):
        parse(text)


def test_pinning() -> None:
    plain, fixed = parse("reg.example.com/a:1"), parse(f"reg.example.com/a:1@{DIGEST}")
    other = "sha256:" + "f" * 64
    assert plain.pinned("") == "reg.example.com/a:1"
    assert plain.pinned(other) == f"reg.example.com/a@{other}"
    assert fixed.pinned("") == f"reg.example.com/a@{DIGEST}"
    assert parse("nginx").name == "docker.io/library/nginx"
    assert parse("localhost/a").local
    assert not parse("localhost:5000/a").local


@given(st.text(st.sampled_from("aB0.-_:/@[]"), max_size=40))
def test_what_is_read_reads_the_same_again(text: str) -> None:
    try:
        found = parse(text)
    except InvalidInput:
        return
    assert parse(found.pinned("")) == found


@pytest.mark.parametrize(
    "text", ["a-" * 256, "a." * 256, "a_" * 255 + "!", "a/" * 256, "0" * 511 + "/"]
)
def test_hostile_text_is_judged_at_once(text: str) -> None:
    """A pattern that tried every way to split this would not end."""
    with pytest.raises(InvalidInput):
        parse(text)
