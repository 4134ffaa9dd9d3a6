"""`master init`: once, again, from every half-made state, and never over something that is there."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from hullmark.config import load_master
from hullmark.errors import EXIT_CONFIG, BrokenState, Conflict, InvalidInput, Refused, UsageError
from hullmark.masterd.__main__ import main
from hullmark.masterd.certificate import ensure_certificate
from hullmark.masterd.folder import Folder, found_here, listening, urls
from hullmark.masterd.init import ShopAuthority, init, shop_authority
from hullmark.pki import certificates
from hullmark.pki.authority import Authority, create_authority
from tests.unit.masterd.serving import config_in

DAY_S = 86400.0


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    config = config_in(tmp_path)
    made = init(config)
    before = contents(tmp_path / "master")
    again = init(config, ["10.0.0.1", "127.0.0.1"])
    assert (made.new, again.new) == (True, False)
    assert (made.cluster_id, made.root_fingerprint) == (again.cluster_id, again.root_fingerprint)
    assert again.ignored == ("10.0.0.1",)
    assert contents(tmp_path / "master") == before
    assert stat.S_IMODE((tmp_path / "master").stat().st_mode) == 0o700
    for name in ("pki/root.key", "pki/intermediate.key", "pki/master.key", "store.sqlite"):
        assert stat.S_IMODE((tmp_path / "master" / name).stat().st_mode) == 0o600, name


@pytest.mark.parametrize(
    "lost",
    [
        ["pki/master.pem"],
        ["pki/master.pem", "pki/master.key"],
        ["pki/master.pem", "pki/master.key", "addresses.json", "pki/intermediate.key"],
        [
            *("pki/master.pem", "pki/master.key", "addresses.json", "pki/intermediate.key"),
            *("pki/intermediate.pem", "pki/root.pem", "pki/root.key"),
        ],
    ],
)
def test_what_was_half_made_is_completed(tmp_path: Path, lost: list[str]) -> None:
    config = config_in(tmp_path)
    made = init(config)
    for name in lost:
        (tmp_path / "master" / name).unlink()
    again = init(config)
    assert again.new
    assert again.cluster_id == made.cluster_id
    assert not init(config).new
    kept = "pki/intermediate.key" not in lost
    assert (again.root_fingerprint == made.root_fingerprint) == kept


def test_a_lost_store_is_not_replaced_by_an_empty_one(tmp_path: Path) -> None:
    config = config_in(tmp_path)
    init(config)
    (tmp_path / "master" / "store.sqlite").unlink()
    with pytest.raises(BrokenState, match=r"store\.sqlite is missing") as caught:
        init(config)
    assert "restore" in caught.value.remedy
    assert not (tmp_path / "master" / "store.sqlite").exists()


def test_the_shops_own_authority_is_adopted(tmp_path: Path) -> None:
    shop = create_authority(tmp_path / "shop", "shop", 1e9 * 1.7)
    chain = tmp_path / "chain.pem"
    chain.write_bytes(certificates.chain_pem(*shop.chain, shop.root))
    key = tmp_path / "shop" / "intermediate.key"
    config = config_in(tmp_path)
    made = init(config, (), ShopAuthority(chain, key), now=1e9 * 1.7)
    assert made.root_fingerprint == shop.root_fingerprint
    assert made.root_key is None
    with pytest.raises(Conflict):
        init(config, (), ShopAuthority(chain, key))
    with pytest.raises(UsageError):
        shop_authority("chain.pem", None)


def test_addresses_that_were_given_are_remembered(tmp_path: Path) -> None:
    config = config_in(tmp_path, addresses=())
    made = init(config, ["M1.example.net", "2001:DB8::1"])
    assert made.addresses == ("m1.example.net", "2001:db8::1")
    leaf = certificates.load_chain((tmp_path / "master/pki/master.pem").read_bytes(), "it")[0]
    assert certificates.identity_of(leaf).name == "m1"
    assert urls(made.addresses, "0.0.0.0:7441") == (
        "https://m1.example.net:7441",
        "https://[2001:db8::1]:7441",
    )
    with pytest.raises(InvalidInput, match="--address"):
        init(config, ["not an address"])


def test_addresses_are_found_where_none_is_given(tmp_path: Path, monkeypatch) -> None:
    class Entry:
        def __init__(self, family: int, address: str) -> None:
            self.family, self.address = family, address

    interfaces = {
        "lo": [Entry(2, "127.0.0.1")],
        "eth0": [Entry(10, "fe80::1%eth0"), Entry(10, "2001:db8::5"), Entry(2, "192.0.2.5")],
        "docker0": [Entry(2, "172.17.0.1")],
    }
    monkeypatch.setattr("psutil.net_if_addrs", lambda: interfaces)
    monkeypatch.setattr("socket.gethostname", lambda: "M1.Example.NET")
    assert found_here() == ["m1.example.net", "192.0.2.5", "2001:db8::5"]


def test_a_folder_that_can_not_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    config = config_in(tmp_path, state_dir=str(tmp_path / "file" / "master"))
    with pytest.raises(Refused, match="can't be used") as caught:
        init(config)
    assert "state_dir" in caught.value.remedy


def test_damaged_addresses_are_told(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    assert folder.remembered() == ()
    for text in ("[", '{"a": 1}', "[1]"):
        folder.addresses_file.write_text(text)
        with pytest.raises(BrokenState):
            folder.remembered()


class TestCertificate:
    """The master's own: made when it has to be, and only then."""

    @staticmethod
    def ensure(folder: Path, now: float, *addresses: str, name: str = "m1") -> bool:
        authority = Authority.load(folder)
        return ensure_certificate(folder, authority, "c1", name, addresses, now)

    def test_it_is_made_again_when_little_is_left_or_it_says_something_else(
        self, tmp_path: Path
    ) -> None:
        now = 1.8e9
        create_authority(tmp_path, "c1", now)
        assert self.ensure(tmp_path, now, "10.0.0.1")
        key = (tmp_path / "master.key").read_bytes()
        assert not self.ensure(tmp_path, now, "10.0.0.1")
        assert not self.ensure(tmp_path, now + 59 * DAY_S, "10.0.0.1")
        assert self.ensure(tmp_path, now + 61 * DAY_S, "10.0.0.1")
        assert self.ensure(tmp_path, now + 400 * DAY_S, "10.0.0.1")
        assert self.ensure(tmp_path, now, "10.0.0.1")  # it begins in the future
        assert self.ensure(tmp_path, now, "10.0.0.1", "m1.example.net")
        assert self.ensure(tmp_path, now, "10.0.0.1", "m1.example.net", name="m2")
        assert (tmp_path / "master.key").read_bytes() == key

    def test_a_damaged_one_is_replaced_and_a_lost_key_too(self, tmp_path: Path) -> None:
        create_authority(tmp_path, "c1", 1.8e9)
        self.ensure(tmp_path, 1.8e9)
        (tmp_path / "master.pem").write_text("garbage")
        assert self.ensure(tmp_path, 1.8e9)
        (tmp_path / "master.key").unlink()
        assert self.ensure(tmp_path, 1.8e9)
        assert not self.ensure(tmp_path, 1.8e9)

    def test_a_key_that_others_may_read_is_not_used(self, tmp_path: Path) -> None:
        create_authority(tmp_path, "c1", 1.8e9)
        self.ensure(tmp_path, 1.8e9)
        (tmp_path / "master.key").chmod(0o640)
        with pytest.raises(BrokenState, match="accessible to others") as caught:
            self.ensure(tmp_path, 1.8e9)
        assert "chmod 600" in caught.value.remedy

    def test_near_its_end_the_intermediate_is_not_renewed_under_again_and_again(
        self, tmp_path: Path
    ) -> None:
        create_authority(tmp_path, "c1", 1.8e9)
        near = 1.8e9 + 1820 * DAY_S
        assert self.ensure(tmp_path, near)
        assert not self.ensure(tmp_path, near + DAY_S)
        with pytest.raises(BrokenState, match="intermediate certificate expired"):
            self.ensure(tmp_path, near + 6 * DAY_S)


def test_the_command_line_says_what_it_did(tmp_path: Path, capsys) -> None:
    config_in(tmp_path)
    config = str(tmp_path / "master.yaml")
    assert main(["init", "--config", config]) == 0
    first = capsys.readouterr().out
    assert first.startswith("made\n")
    assert "hullmark invite HOST" in first
    assert "listens on    127.0.0.1:7441 (agents.listen), 127.0.0.1:7442 (api.listen)" in first
    assert "only this machine reaches it" in first
    assert main(["init", "--config", config, "--address", "192.0.2.7"]) == 0
    again = capsys.readouterr().out
    assert again.startswith("there already: nothing was changed")
    assert (
        f"note: 192.0.2.7 was not added. To add it, put it under `addresses` in {config}" in again
    )


@pytest.mark.parametrize(
    ("lines", "remembered", "api", "agents"),
    [
        ("addresses: [127.0.0.1]", [], "127.0.0.1:7442", "127.0.0.1:7441"),
        ("", ["localhost", "127.0.0.2"], "127.0.0.1:7442", "127.0.0.1:7441"),
        ("", ["::1"], "[::1]:7442", "[::1]:7441"),
        ("", ["::ffff:127.0.0.1"], "127.0.0.1:7442", "127.0.0.1:7441"),
        ("", ["127.0.0.1", "192.0.2.1"], "0.0.0.0:7442", "0.0.0.0:7441"),
        ("addresses: [m1.example.net]", ["127.0.0.1"], "0.0.0.0:7442", "0.0.0.0:7441"),
        ("", [], "0.0.0.0:7442", "0.0.0.0:7441"),
        ("addresses: [::1]\napi: {listen: '0.0.0.0:1'}", [], "0.0.0.0:1", "[::1]:7441"),
        ("agents: {listen: '0.0.0.0:7441'}", ["::1"], "[::1]:7442", "0.0.0.0:7441"),
    ],
)
def test_a_master_that_only_this_machine_knows_listens_on_loopback(
    tmp_path: Path, lines: str, remembered: list[str], api: str, agents: str
) -> None:
    (tmp_path / "master.yaml").write_text(lines.replace("[::1]", "['::1']"))
    folder = Folder(tmp_path)
    if remembered:
        folder.remember(remembered)
    found = listening(load_master(str(tmp_path / "master.yaml")), folder)
    assert (found.api_listen, found.agents_listen) == (api, agents)


def test_the_command_line_fails_with_a_remedy(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("hullmark.log.setup", lambda *given: None)  # it would stay set for others
    config_in(tmp_path)
    config = tmp_path / "master.yaml"
    assert main(["run", "--config", str(config)]) == 2
    told = capsys.readouterr().err
    assert "no cluster" in told
    assert "hullmark master init" in told
    config.write_text(config.read_text() + "lost_aftr: 3\n")
    assert main(["run", "--config", str(config)]) == EXIT_CONFIG
    assert "did you mean lost_after" in capsys.readouterr().err
    assert main(["run", "--config", str(tmp_path / "none.yaml")]) == EXIT_CONFIG
    for wrong in ([], ["walk"], ["run", "--address", "x"]):
        with pytest.raises(SystemExit) as caught:
            main(wrong)
        assert caught.value.code == 64
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    assert "examples:" in capsys.readouterr().out
    assert os.listdir(tmp_path) == ["master.yaml"]
