"""Card numbers and secrets go, also in forms that nobody thought of in full; what records are verified by stays."""

from __future__ import annotations

import time
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hullmark.core.scrub import CARD, REMOVED, is_card_number, scrubbed
from hullmark.model.audit import Entry
from hullmark.model.auditline import line_of
from hullmark.model.moments import moment

PREFIXES = (
    ("4", 13), ("4", 16), ("4", 19), ("51", 16), ("55", 16), ("2221", 16), ("2720", 16), ("34", 15), ("37", 15),
    ("305", 14), ("36", 14), ("3528", 16), ("3589", 16), ("6011", 16), ("65", 16), ("62", 19), ("5018", 16), ("2200", 16),
)  # fmt: skip
SECRETS = (
    ("password=hunter2secret", "hunter2secret"),
    ("db.password: hunter2secret", "hunter2secret"),
    ("password: correct horse battery\nport: 5", "horse"),
    ("  - client_secret: 'a b c hunter2'", "hunter2"),
    ('{"password": "a b\\"hunter2", "user": "x"}', "hunter2"),
    ('"{\\"token\\": \\"hunter2\\"}"', "hunter2"),
    ("MYSQL_PWD=hunter2 mysqld", "hunter2"),
    ("AWS_SECRET_ACCESS_KEY = wJalrXUtnFEMI/K7MDENG/bPx", "wJalr"),
    ("key AKIAIOSFODNN7EXAMPLE.", "AKIAIOSFODNN7EXAMPLE"),
    ("Authorization: Bearer abc.def-ghi", "abc.def"),
    ("curl -H 'Authorization: Basic dXNlcjpwYXNz' http://h/", "dXNlcjpwYXNz"),
    ('Authorization: Digest username="u", response="hunter2"', "hunter2"),
    ("Proxy-Authorization:Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
    ("Set-Cookie: sid=hunter2; Path=/", "hunter2"),
    ("postgres://app:hunter2@db:5432/shop", "hunter2"),
    ("GET /?user=x&api_key=hunter2&z=1", "hunter2"),
    ("backup --db-password hunter2 --all", "hunter2"),
    ("x-api-key: hunter2", "hunter2"),
    ("remote: https://ghp_abcdefghijklmnopqrstuvwxyz0123@github.com", "ghp_abc"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "eyJzdWIi"),
    ("root:$6$salt$abcdefghijklmnop:19000:0:99999:7:::", "abcdefghijklmnop"),
    ("hmi1.eyJtYXN0ZXJzIjpbXX0abcdefgh", "eyJtYXN0"),
    ("cvv=123", "123"),
    (
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nMIIBhunter2\n-----END RSA PRIVATE KEY-----\nafter",
        "hunter2",
    ),
    ("-----BEGIN PRIVATE KEY-----\nMIIBhunter2 and its end was cut", "hunter2"),
)
KEPT = (
    "/etc/passwd: OK",
    "PWD=/root",
    "PASS_MAX_DAYS 99999",
    "Failed password for root from 10.0.0.7 port 4222",
    "pam_pwquality.so retry=3 minlen=12",
    'type=SYSCALL msg=audit(1764400000.123:4567): arch=c000003e syscall=59 key="identity"',
    "password_file=/run/secrets/db",
    "password=",
    "permit_root_login: no",
    "token: none",
    "2026-11-29 12:34:45 2026-11-29 2026-11-30",
    "1764400000123456 1764400000123 1764400000123456789",
    "score 0.4111111111111111",
    "minimum password length: 8",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGk5 host key",
    "00:1a:2b:3c:4d:5e 4111:1111:1111:1111::1",
    "sha256:4111111111111111abcdef0123456789abcdef0123456789abcdef0123456789",
    "hullmark-canary host=web1 nonce=4111111111111111abcdef0123456789 - synthetic test, no action needed",
)


def with_check_digit(digits: str) -> str:
    return next(digits + last for last in "0123456789" if is_card_number(digits + last))


@st.composite
def cards(draw: st.DrawFn) -> tuple[str, str]:
    """A card number, and the way that it is written."""
    prefix, length = draw(st.sampled_from(PREFIXES))
    rest = draw(st.text("0123456789", min_size=length - len(prefix) - 2))[
        : length - len(prefix) - 1
    ]
    digits = with_check_digit((prefix + rest).ljust(length - 1, "7"))
    gap = draw(st.sampled_from([" ", "-"]))
    gaps = draw(st.lists(st.booleans(), min_size=length, max_size=length))
    written = (digit + gap * there for digit, there in zip(digits, gaps))
    return digits, "".join(written).rstrip(gap)


@given(
    cards(),
    st.text("abcxyz \n\t:;,.()[]=\"'", max_size=12),
    st.text("abcxyz \n\t:;,.()[]=\"'", max_size=12),
)
def test_every_card_number_goes(card: tuple[str, str], before: str, after: str) -> None:
    digits, written = card
    found = scrubbed(f"{before}{written}{after}")
    assert CARD in found or REMOVED in found
    assert digits not in found.replace(" ", "").replace("-", "")


def test_a_card_number_among_other_numbers_goes() -> None:
    assert scrubbed("17 4111-1111-1111-1111 12") == f"17 {CARD} 12"


@pytest.mark.parametrize(
    "number", ["4111111111111112", "9111111111111111", "411111111111", "0" * 16]
)
def test_a_number_with_a_wrong_check_digit_length_or_beginning_stays(number: str) -> None:
    assert scrubbed(f"id {number}.") == f"id {number}."


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_a_secret_goes(text: str, secret: str) -> None:
    assert secret in text
    assert secret not in scrubbed(text)


def test_what_stands_around_a_secret_stays() -> None:
    assert scrubbed("password: correct horse\nport: 5") == f"password: {REMOVED}\nport: 5"
    assert scrubbed('{"token": "a", "user": "x"}') == f'{{"token": "{REMOVED}", "user": "x"}}'
    key = "-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----\nafter"
    assert scrubbed(f"before\n{key}") == "before\n[private key removed]\nafter"


@pytest.mark.parametrize("text", KEPT)
def test_what_is_no_secret_stays(text: str) -> None:
    assert scrubbed(text) == text


@given(st.binary(min_size=32, max_size=32), st.uuids(), st.floats(0, 4e9), st.integers(1, 10**9))
@settings(max_examples=300)
def test_hashes_ids_and_times_of_our_own_records_stay(
    content: bytes, one: uuid.UUID, at: float, seq: int
) -> None:
    entry = Entry("control.result", "web1", fields={"nonce": one.hex, "since": moment(at)})
    line = line_of(
        entry,
        seq=seq,
        prev="a" + content.hex()[1:],
        log=f"host:{one}",
        boot=str(one),
        at=moment(at),
    ).decode()
    assert scrubbed(line) == line


PIECES = st.sampled_from(
    [
        "password", "token", "=", ": ", ":", " ", "\n", '"', "'", "\\", "://", "@", "Bearer ", "Authorization", "Cookie",
        "-", "--", "4111", "1111", "4111111111111111", "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", "eyJabcdefgh",
        ".", "$6$", "abcdefgh", "x", "/", "?", REMOVED, CARD, "AKIAIOSFODNN7EXAMPLE", ",", "[", "]",
    ]
)  # fmt: skip


@given(st.lists(PIECES, max_size=30).map("".join))
@settings(max_examples=1000)
def test_doing_it_again_changes_nothing(text: str) -> None:
    once = scrubbed(text)
    assert scrubbed(once) == once


@given(st.text())
def test_any_text_is_taken(text: str) -> None:
    assert scrubbed(scrubbed(text)) == scrubbed(text)


@pytest.mark.parametrize(
    "piece",
    ["a", "1 ", "1", "4 ", "4111-", "password=", "://a:", "eyJ", "-----BEGIN PRIVATE KEY-----", 'token:"', "--", "a-", "hmi1.",
     "f1", "12345678-", "eyJabcdefgh.", "authorization:", "\\\"", "password ", "-p", "x/", "a_", "pass", "$6$", " \t"],
)  # fmt: skip
def test_time_is_in_proportion_to_the_text(piece: str) -> None:
    """Four times the text takes no sixteen times as long. The least of up to three looks: a cold cache or a busy neighbour only adds."""
    short = min(_took_s(piece * (16_000 // len(piece))) for _ in range(3))
    text = piece * (64_000 // len(piece))
    assert any(_took_s(text) < 0.05 + 10 * short for _ in range(3))


def _took_s(text: str) -> float:
    begins = time.process_time()
    scrubbed(text)
    return time.process_time() - begins
