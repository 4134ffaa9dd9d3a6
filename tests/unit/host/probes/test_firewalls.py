"""How firewalls are asked: what is read, what is only compiled, and that this is done once for the same rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hullmark.host.probes import firewalls
from hullmark.model.control import Reading, Trouble
from tests.unit.host.probes.commands import Blinkered

PUBLIC = '{"type":"s","data":["public"]}'
ZONE = '{"type":"a{sv}","data":[{"services":{"type":"as","data":["a"]}}]}'
SERVICE = '{"type":"a{sv}","data":[{"includes":{"type":"as","data":["a","b"]}}]}'
BUS = "busctl --json=short call org.fedoraproject.FirewallD1 "
DBUS = "/org/fedoraproject/FirewallD1"


def host(root: Path, **files: str) -> Path:
    for path, text in files.items():
        place = root / path.replace("__", "/").lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return root


def by_name(readings: tuple[Reading, ...]) -> dict[str, Reading]:
    return {each.name: each for each in readings}


@pytest.fixture(autouse=True)
def _forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firewalls, "_compiled", firewalls._Compiled())


NFT = {
    "nft list tables": "table inet host\ntable ip nat\n",
    "nft --stateless list table inet host": "table inet host {\n}\n",
    "nft --check": "compiled\n",
}


def test_of_nftables_the_saved_tables_are_compiled_once_while_they_stay(tmp_path: Path) -> None:
    saved = 'table inet host {\n include "extra/*.nft"\n}\ntable nat { }\n'
    host(tmp_path, etc__saved=saved)
    (tmp_path / "etc/extra").mkdir()
    (tmp_path / "etc/extra/a.nft").write_text("chain a { }\n")
    eye = Blinkered(tmp_path, {**NFT, "nft --stateless list table ip nat": "table ip nat {\n}\n"})
    given: dict[str, Any] = {"paths": ("/etc/none", "/etc/saved")}
    found = by_name(firewalls.nftables(eye, given))
    assert found["included"].facts["pattern"] == "extra/*.nft"
    assert found["live"].text == "table inet host {\n}\ntable ip nat {\n}\n"
    assert (found["compiled"].text, found["recompiled"].text) == ("compiled\n", "compiled\n")
    first = len(eye.ran)
    assert sum(line.startswith("nft --check") for line in eye.ran) == 2
    firewalls.nftables(eye, given)
    assert not any(line.startswith("nft --check") for line in eye.ran[first:])
    (tmp_path / "etc/extra/a.nft").write_text("chain b { }\n")
    firewalls.nftables(eye, given)
    assert sum(line.startswith("nft --check") for line in eye.ran) == 3


def test_without_nft_or_a_saved_file_nothing_is_compiled(tmp_path: Path) -> None:
    eye = Blinkered(tmp_path, NFT)
    found = by_name(firewalls.nftables(eye, {"paths": ("/etc/none",)}))
    assert found["saved"].trouble is Trouble.MISSING
    assert eye.ran == ["nft list tables"]
    host(tmp_path, etc__saved="table inet host { }")
    eye = Blinkered(tmp_path)
    assert set(by_name(firewalls.nftables(eye, {"paths": ("/etc/saved",)}))) == {"tables", "saved"}


def test_what_failed_to_compile_is_tried_again(tmp_path: Path) -> None:
    host(tmp_path, etc__saved="table inet host { }")
    silent = {key: text for key, text in NFT.items() if not key.startswith("nft --check")}
    for says in (silent, NFT):
        eye = Blinkered(tmp_path, says)
        found = by_name(firewalls.nftables(eye, {"paths": ("/etc/saved",)}))
    assert found["compiled"].text == "compiled\n"


def ufw_host(root: Path, enabled: str, ipv6: str = "no") -> Path:
    host(root, etc__ufw__ufw_conf="")
    (root / "etc/ufw/ufw.conf").write_text(f"ENABLED={enabled}\n")
    for name in (*firewalls.UFW_FILES, *firewalls.UFW6_FILES):
        (root / "etc/ufw" / name).write_text(f"# {name}\n*filter\nCOMMIT\n")
    host(root, etc__default__ufw=f"IPV6={ipv6}\n")
    return root


UFW = {
    "iptables-save": "# Generated now\n:INPUT DROP [3:180]\n",
    "ip6tables-save": ":INPUT DROP [0:0]\n",
    "iptables-restore-translate": "add table ip filter\n",
    "ip6tables-restore-translate": "add table ip6 filter\n",
}


def test_ufw_that_is_not_enabled_is_not_compared(tmp_path: Path) -> None:
    eye = Blinkered(ufw_host(tmp_path, "no"), UFW)
    assert set(by_name(firewalls.ufw(eye, {}))) == {"config", "defaults", "user4"}
    assert eye.ran == []


def test_ufws_files_are_translated_once_while_they_stay(tmp_path: Path) -> None:
    eye = Blinkered(ufw_host(tmp_path, "yes", "yes"), UFW)
    readings = firewalls.ufw(eye, {})
    assert [each.name for each in readings if each.name.startswith("saved")] == [
        *("saved4", "saved4", "saved4", "saved6", "saved6", "saved6")
    ]
    assert by_name(readings)["translated6"].text == "add table ip6 filter\n"
    first = len(eye.ran)
    eye = Blinkered(tmp_path, {**UFW, "iptables-save": "# Generated later\n:INPUT DROP [9:540]\n"})
    firewalls.ufw(eye, {})
    assert eye.ran == ["iptables-save", "ip6tables-save"]
    assert first > 4


def firewalld_says(**changed: str) -> dict[str, str]:
    return {
        "busctl --json=short call org.freedesktop.DBus": '{"type":"u","data":[812]}',
        "busctl --json=short get-property": '{"type":"s","data":"RUNNING"}',
        f"{BUS}{DBUS} org.fedoraproject.FirewallD1 getDefaultZone": PUBLIC,
        f"{BUS}{DBUS} org.fedoraproject.FirewallD1.zone getActiveZones": '{"data":[{"dmz":{}}]}',
        f"{BUS}{DBUS} org.fedoraproject.FirewallD1.zone getZoneSettings2 s": ZONE,
        f"{BUS}{DBUS}/config org.fedoraproject.FirewallD1.config getZoneByName s": (
            f'{{"type":"o","data":["{DBUS}/config/zone/3"]}}'
        ),
        f"{BUS}{DBUS}/config/zone/3": ZONE,
        f"{BUS}{DBUS} org.fedoraproject.FirewallD1 getServiceSettings2 s": SERVICE,
        "nft --stateless list table inet firewalld": "table inet firewalld {\n}\n",
        **changed,
    }


def test_firewalld_is_asked_of_its_zones_and_their_services(tmp_path: Path) -> None:
    host(tmp_path, usr__sbin__firewalld="", etc__firewalld__x="")
    host(tmp_path, proc__812__stat="812 (firewalld) S 1", proc__812__cmdline="python3\0firewalld\0")
    found = by_name(firewalls.firewalld(Blinkered(tmp_path, firewalld_says()), {}))
    assert found["words"].text == "python3 firewalld "
    for name in ("runtime:public", "permanent:public", "runtime:dmz", "service:a", "service:b"):
        assert found[name].trouble is Trouble.NONE
    assert found["live"].text.startswith("table inet firewalld")


def test_a_stopped_firewalld_is_not_waited_for(tmp_path: Path) -> None:
    host(tmp_path, usr__sbin__firewalld="")
    host(tmp_path, proc__812__stat="812 (firewalld) T 1", proc__812__cmdline="firewalld")
    eye = Blinkered(tmp_path, firewalld_says())
    firewalls.firewalld(eye, {})
    assert len(eye.ran) == 1


def test_a_path_that_is_no_zones_is_not_asked(tmp_path: Path) -> None:
    host(tmp_path, usr__sbin__firewalld="")
    host(tmp_path, proc__812__stat="812 (firewalld) S 1", proc__812__cmdline="firewalld")
    key = f"{BUS}{DBUS}/config org.fedoraproject.FirewallD1.config getZoneByName s"
    eye = Blinkered(tmp_path, firewalld_says(**{key: '{"data":["/org/else"]}'}))
    firewalls.firewalld(eye, {})
    assert not any("/org/else" in line for line in eye.ran)


def test_without_firewalld_nobody_is_asked(tmp_path: Path) -> None:
    eye = Blinkered(tmp_path)
    assert [each.name for each in firewalls.firewalld(eye, {})] == ["program"]
    assert eye.ran == []
