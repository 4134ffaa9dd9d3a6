from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from hullmark.engine import credentials
from hullmark.errors import InvalidInput

PASSWORD = "s3cret-of-the-test"
GOOD = f"registry: reg.example.com:5000\nusername: deploy\npassword: {PASSWORD}\n"


def put(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def problem(folder: Path, registry: str = "reg.example.com:5000") -> str:
    with pytest.raises(InvalidInput) as raised:
        credentials.find(folder, registry)
    text = f"{raised.value} {raised.value.remedy}"
    assert PASSWORD not in text
    return text


def test_found_by_registry(tmp_path: Path) -> None:
    file = put(tmp_path / "one.yaml", GOOD)
    put(tmp_path / "ignored.txt", "not a credential", 0o644)
    found = credentials.find(tmp_path, "reg.example.com:5000")
    assert found is not None
    assert (found.username, found.password, found.file) == ("deploy", PASSWORD, str(file))
    assert credentials.find(tmp_path, "other.example.com") is None


def test_no_folder_is_no_credential(tmp_path: Path) -> None:
    assert credentials.find(tmp_path / "absent", "reg.example.com") is None


def test_the_password_is_in_no_text(tmp_path: Path) -> None:
    put(tmp_path / "one.yaml", GOOD)
    found = credentials.find(tmp_path, "reg.example.com:5000")
    assert found is not None
    text = f"{found} {found!r} {found.describe(found.changed_at + 12.5 * 86400)}"
    assert PASSWORD not in text
    assert f"user deploy from {tmp_path}/one.yaml, 12 d old" in text


def test_age_of_a_clock_that_went_back(tmp_path: Path) -> None:
    put(tmp_path / "one.yaml", GOOD)
    found = credentials.find(tmp_path, "reg.example.com:5000")
    assert found is not None
    assert found.describe(0.0).endswith("0 d old")


def test_password_file(tmp_path: Path) -> None:
    secret = put(tmp_path / "secret", PASSWORD + "\n")
    text = GOOD.replace(f"password: {PASSWORD}", f"password_file: {secret}")
    put(tmp_path / "one.yaml", text)
    found = credentials.find(tmp_path, "reg.example.com:5000")
    assert found is not None
    assert (found.password, found.changed_at) == (PASSWORD, secret.stat().st_mtime)
    secret.chmod(0o644)
    assert f"{secret}: open to others (mode 0644)" in problem(tmp_path)
    secret.unlink()
    assert f"{secret}: can't be read" in problem(tmp_path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666, 0o610])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    put(tmp_path / "one.yaml", GOOD, mode)
    assert f"open to others (mode {mode:04o})" in problem(tmp_path)
    assert "chmod 600" in problem(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("registry: [", "not YAML"),
        ("- registry", "not a mapping of text"),
        (GOOD + "port: 1\n", "not a mapping of text"),
        (GOOD + "pasword: x\n", "unknown key pasword"),
        ("username: a\npassword: b\n", "registry and username are needed"),
        ("registry: a\nusername: b\n", "exactly one of password and password_file"),
        (GOOD + "password_file: /x\n", "exactly one of password and password_file"),
        ("# " + "x" * credentials.MAX_BYTES, "larger than"),
    ],
)
def test_a_malformed_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    file = put(tmp_path / "one.yaml", text)
    found = problem(tmp_path)
    assert said in found
    assert str(file) in found


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    file = put(tmp_path / "one.yaml", "")
    file.write_bytes(b"\xff\xfe")
    assert "not UTF-8" in problem(tmp_path)


def test_two_files_for_one_registry(tmp_path: Path) -> None:
    put(tmp_path / "one.yaml", GOOD)
    put(tmp_path / "two.yaml", GOOD)
    assert f"two.yaml: registry reg.example.com:5000 stands in {tmp_path}/one.yaml" in problem(
        tmp_path
    )


def test_a_check_names_all_files_that_are_wrong(tmp_path: Path) -> None:
    credentials.check(tmp_path / "absent")
    put(tmp_path / "a.yaml", GOOD)
    credentials.check(tmp_path)
    put(tmp_path / "b.yaml", GOOD.replace("username", "usrname"))
    put(tmp_path / "c.yaml", GOOD, 0o666)
    put(tmp_path / "d.yaml", GOOD)
    put(tmp_path / "e.json", f'{{"auths": "{PASSWORD}"}}')
    put(tmp_path / "f.yaml", f"registry: [{PASSWORD}")
    with pytest.raises(InvalidInput) as raised:
        credentials.check(tmp_path)
    assert [(Path(each.file).name, each.message) for each in raised.value.problems] == [
        ("b.yaml", "unknown key usrname"),
        ("c.yaml", "open to others (mode 0666)"),
        ("d.yaml", f"registry reg.example.com:5000 stands in {tmp_path}/a.yaml too"),
        ("e.json", "not in the form of Docker's config.json"),
        ("f.yaml", "not YAML"),
    ]
    assert PASSWORD not in str(raised.value)


def docker_form(**auths: str) -> str:
    return json.dumps(
        {
            "auths": {
                server: {"auth": base64.b64encode(login.encode()).decode()}
                for server, login in auths.items()
            }
        }
    )


def test_dockers_form(tmp_path: Path) -> None:
    put(
        tmp_path / "config.json",
        docker_form(
            **{
                "reg.example.com:5000": f"deploy:{PASSWORD}",
                "https://index.docker.io/v1/": "hub:a:b",
            }
        ),
    )
    found = credentials.find(tmp_path, "reg.example.com:5000")
    assert found is not None
    assert (found.username, found.password) == ("deploy", PASSWORD)
    hub = credentials.find(tmp_path, "docker.io")
    assert hub is not None
    assert (hub.username, hub.password) == ("hub", "a:b")


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "{}", '{"auths": []}', '{"auths": {"a": {}}}', '{"auths": {"a": {"auth": "*"}}}'],
)
def test_a_malformed_docker_form(tmp_path: Path, text: str) -> None:
    put(tmp_path / "config.json", text)
    assert "not in the form of Docker's config.json" in problem(tmp_path)
