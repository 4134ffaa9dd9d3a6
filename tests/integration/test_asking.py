"""A master that says nothing, or a byte at a time, keeps nobody who has no certificate yet for longer than he said."""

from __future__ import annotations

import ssl
import time
from pathlib import Path
from typing import Optional

import pytest

from hullmark.errors import MasterUnavailable
from hullmark.pki import certificates
from hullmark.pki.asking import Answer, ask_over_tls
from hullmark.pki.authority import Authority, create_authority
from tests.integration.slowmaster import SlowMaster

TIME_S = 1.5
SLOW_S = 1.3
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return create_authority(tmp_path_factory.mktemp("pki"), "c1", time.time())


@pytest.fixture
def tls(tmp_path: Path, authority: Authority) -> ssl.SSLContext:
    key = certificates.new_key()
    (tmp_path / "key.pem").write_bytes(certificates.key_pem(key))
    chain = authority.issue_master(key.public_key(), "c1", "m1", ["127.0.0.1"], time.time())
    (tmp_path / "chain.pem").write_bytes(chain)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "chain.pem", tmp_path / "key.pem")
    return context


def asked(master: SlowMaster, authority: Authority) -> Answer:
    return ask_over_tls(master.url, "GET", "/v1/ca", None, authority.root_pem, TIME_S)


def test_an_answer_that_takes_its_time_is_taken(tls: ssl.SSLContext, authority: Authority) -> None:
    answer = HEAD + b"2\r\n\r\n{}"
    with SlowMaster(answer, drips=False, tls=tls, shakes_after_s=0.3) as master:
        assert asked(master, authority) == Answer(200, {})


@pytest.mark.parametrize(
    ("first", "shakes_after_s", "drips"),
    [
        (b"", None, False),
        (b"", 0.0, False),
        (b"", SLOW_S, False),
        (HEAD, SLOW_S, False),
        (HEAD + b"9999\r\n\r\n", 0.0, True),
        (HEAD + b"9999\r\nX: ", 0.0, True),
    ],
    ids=["no tls", "no answer", "slow", "half a head", "dripping body", "dripping head"],
)
def test_who_does_not_answer_in_time_is_waited_for_no_longer(
    tls: ssl.SSLContext,
    authority: Authority,
    first: bytes,
    shakes_after_s: Optional[float],
    drips: bool,
) -> None:
    with SlowMaster(first, drips=drips, tls=tls, shakes_after_s=shakes_after_s) as master:
        began = time.monotonic()
        with pytest.raises(MasterUnavailable, match=r"timed out|not whole in time"):
            asked(master, authority)
        took_s = time.monotonic() - began
    assert TIME_S - 0.1 < took_s < TIME_S + SLOW_S - 0.3
    assert not drips or master.dripped > 5, "it did send"
