from __future__ import annotations

import json
from typing import Any, Optional

import pytest
import requests

from hullmark.engine import registry
from hullmark.engine.credentials import Credential
from hullmark.errors import ImageUnavailable
from hullmark.model.reference import parse

DIGEST = "sha256:" + "1" * 64
LOGIN = Credential("reg.example.com", "deploy", "pw", "/etc/x.yaml", 0.0)


def answer(status: int, headers: Optional[dict[str, str]] = None, body: bytes = b"") -> Any:
    made = requests.Response()
    made.status_code = status
    made.headers.update(headers or {})
    made._content = body
    return made


class FakeSession:
    """Gives prepared answers and remembers what was asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.trust_env = True

    def __enter__(self) -> FakeSession:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def _next(self, method: str, url: str, options: dict[str, Any]) -> Any:
        self.asked.append((method, url, {**options, "headers": dict(options.get("headers") or {})}))
        found = self.answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    def head(self, url: str, **options: Any) -> Any:
        return self._next("HEAD", url, options)

    def get(self, url: str, **options: Any) -> Any:
        return self._next("GET", url, options)


def ask(
    monkeypatch: pytest.MonkeyPatch, session: FakeSession, image: str, login: Any = None
) -> str:
    monkeypatch.setattr(requests, "Session", lambda: session)
    return registry.digest_of(parse(image), login)


def bearer(realm: str) -> Any:
    return answer(
        401,
        {"WWW-Authenticate": f'Bearer realm="{realm}",service="reg",scope="repository:a/b:pull"'},
    )


FOUND = answer(200, {"Docker-Content-Digest": DIGEST})


def test_an_open_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    session = FakeSession(FOUND)
    assert ask(monkeypatch, session, "reg.example.com/a/b:2") == DIGEST
    method, url, options = session.asked[0]
    assert (method, url) == ("HEAD", "https://reg.example.com/v2/a/b/manifests/2")
    assert "application/vnd.oci.image.index.v1+json" in options["headers"]["Accept"]
    assert session.trust_env is False


@pytest.mark.parametrize(
    ("image", "url"),
    [
        ("nginx", "https://registry-1.docker.io/v2/library/nginx/manifests/latest"),
        ("127.0.0.1:5000/a:1", "http://127.0.0.1:5000/v2/a/manifests/1"),
        ("127.8.9.1/a:1", "http://127.8.9.1/v2/a/manifests/1"),
        ("[::1]:5000/a:1", "http://[::1]:5000/v2/a/manifests/1"),
        ("localhost:5000/a:1", "http://localhost:5000/v2/a/manifests/1"),
        ("192.0.2.1:5000/a:1", "https://192.0.2.1:5000/v2/a/manifests/1"),
        ("localhost.example.com/a:1", "https://localhost.example.com/v2/a/manifests/1"),
    ],
)
def test_plain_http_on_loopback_only(monkeypatch: pytest.MonkeyPatch, image: str, url: str) -> None:
    session = FakeSession(FOUND)
    ask(monkeypatch, session, image)
    assert session.asked[0][1] == url


def test_basic(monkeypatch: pytest.MonkeyPatch) -> None:
    session = FakeSession(answer(401, {"WWW-Authenticate": 'Basic realm="x"'}), FOUND)
    assert ask(monkeypatch, session, "reg.example.com/a/b", LOGIN) == DIGEST
    assert "auth" not in session.asked[0][2]
    assert session.asked[1][2]["auth"] == ("deploy", "pw")


def test_bearer(monkeypatch: pytest.MonkeyPatch) -> None:
    token = answer(200, body=b'{"token": "t0ken"}')
    session = FakeSession(bearer("https://auth.example.com/token"), token, FOUND)
    assert ask(monkeypatch, session, "reg.example.com/a/b", LOGIN) == DIGEST
    method, url, options = session.asked[1]
    assert (method, url, options["auth"]) == (
        "GET",
        "https://auth.example.com/token",
        ("deploy", "pw"),
    )
    assert options["params"] == {"service": "reg", "scope": "repository:a/b:pull"}
    assert session.asked[2][2]["headers"]["Authorization"] == "Bearer t0ken"


def test_bearer_without_a_credential_and_with_the_other_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    token = answer(200, body=b'{"access_token": "t"}')
    session = FakeSession(bearer("https://auth.example.com/token"), token, FOUND)
    assert ask(monkeypatch, session, "reg.example.com/a/b") == DIGEST
    assert session.asked[1][2]["auth"] is None


@pytest.mark.parametrize(
    "realm",
    [
        "http://auth.example.com/token",
        "",
        "ftp://x/",
        "http://127.0.0.1.example.com/",
        "http://localhost:80@example.com/",
        "http://example.com\\@127.0.0.1/",
        "http://[::1",
    ],
)
def test_a_password_never_goes_out_over_plain_http(
    monkeypatch: pytest.MonkeyPatch, realm: str
) -> None:
    session = FakeSession(bearer(realm))
    with pytest.raises(ImageUnavailable, match="refuses access to a/b"):
        ask(monkeypatch, session, "reg.example.com/a/b", LOGIN)
    assert len(session.asked) == 1


@pytest.mark.parametrize("body", [b"not json", b"{}"])
def test_no_token(monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    session = FakeSession(bearer("https://auth.example.com/token"), answer(200, body=body))
    with pytest.raises(ImageUnavailable, match="refuses access"):
        ask(monkeypatch, session, "reg.example.com/a/b", LOGIN)


def test_a_wrong_password(monkeypatch: pytest.MonkeyPatch) -> None:
    challenge = answer(401, {"WWW-Authenticate": 'Basic realm="x"'})
    with pytest.raises(ImageUnavailable, match="it refuses access to a/b"):
        ask(monkeypatch, FakeSession(challenge, challenge), "reg.example.com/a/b", LOGIN)


def test_no_such_tag(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ImageUnavailable, match="it has no a/b:9"):
        ask(monkeypatch, FakeSession(answer(404)), "reg.example.com/a/b:9")


@pytest.mark.parametrize(
    "given",
    [
        answer(500),
        answer(200),
        answer(200, {"Docker-Content-Digest": "md5:1"}),
        requests.ConnectionError("connection refused"),
        requests.ReadTimeout("timed out"),
    ],
)
def test_no_good_answer(monkeypatch: pytest.MonkeyPatch, given: Any) -> None:
    with pytest.raises(registry.Unreachable):
        ask(monkeypatch, FakeSession(given), "reg.example.com/a/b")


CONFIG = "sha256:" + "c" * 64
MANIFEST = {"config": {"digest": CONFIG}}
ARM = "sha256:" + "a" * 64


def told(document: Any) -> Any:
    made = answer(200, body=json.dumps(document).encode())
    made._content_consumed = True
    return made


def config(monkeypatch: pytest.MonkeyPatch, session: FakeSession, platform: str = "") -> Any:
    monkeypatch.setattr(requests, "Session", lambda: session)
    return registry.config_of(parse("reg.example.com/a/b:2"), DIGEST, platform, None)


def test_the_configuration_of_an_image(monkeypatch: pytest.MonkeyPatch) -> None:
    session = FakeSession(told(MANIFEST), told({"config": {"ExposedPorts": {"80/tcp": {}}}}))
    assert config(monkeypatch, session) == {"config": {"ExposedPorts": {"80/tcp": {}}}}
    assert [url for _, url, _ in session.asked] == [
        f"https://reg.example.com/v2/a/b/manifests/{DIGEST}",
        f"https://reg.example.com/v2/a/b/blobs/{CONFIG}",
    ]


@pytest.mark.parametrize(
    ("platform", "digest"), [("", DIGEST), ("linux/arm64", ARM), ("linux/amd64", DIGEST)]
)
def test_the_configuration_for_a_platform(
    monkeypatch: pytest.MonkeyPatch, platform: str, digest: str
) -> None:
    index = {
        "manifests": [
            {"digest": ARM, "platform": {"os": "unknown", "architecture": "unknown"}},
            {"digest": DIGEST, "platform": {"os": "linux", "architecture": "amd64"}},
            {"digest": ARM, "platform": {"os": "linux", "architecture": "arm64"}},
        ]
    }
    session = FakeSession(told(index), told(MANIFEST), told({}))
    assert config(monkeypatch, session, platform) == {}
    assert session.asked[1][1].endswith(f"/manifests/{digest}")


@pytest.mark.parametrize(
    "answers",
    [
        [answer(404)],
        [answer(401)],
        [requests.ConnectionError("connection refused")],
        [told([])],
        [told({})],
        [told({"config": {"digest": "../../x"}})],
        [told({"manifests": []})],
        [told({"manifests": [{"digest": "../x", "platform": {"os": "linux"}}]})],
        [told(MANIFEST), answer(500)],
        [told({"x": "y" * (5 << 20)})],
    ],
)
def test_a_configuration_that_is_none(monkeypatch: pytest.MonkeyPatch, answers: list[Any]) -> None:
    with pytest.raises(registry.Unreachable):
        config(monkeypatch, FakeSession(*answers))
