"""`hullmark footprint`"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from hullmark.footprint import listing, snapshot
from hullmark.footprint.containers import Holdings
from hullmark.footprint.listing import Item, Listing
from hullmark.footprint.snapshot import Host
from tests.unit.cli.conftest import Run
from tests.unit.footprint.conftest import World, file, world

__all__ = ["world"]

SSH = {"kind": "unit", "key": "ssh.service", "enabled": "enabled"}


@pytest.fixture(autouse=True)
def _root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)


def take(path: Path, *records: dict[str, Any]) -> str:
    head = {
        "schema": snapshot.SCHEMA,
        "host": "web1",
        "taken_at": 1795900000,
        "as_root": True,
        "file": str(path),
    }
    looks = [
        {
            "kind": "look",
            "key": "firewall",
            "seen": False,
            "by": [],
            "why": ["nft is not installed"],
        },
        {"kind": "look", "key": "unit", "seen": True, "by": ["systemd"], "why": []},
    ]
    lines = [*looks, *sorted(records, key=snapshot.place)]
    with path.open("wb") as out:
        snapshot.write([head, *lines, {"end": len(lines)}], out)
    return str(path)


def test_what_differs(run: Run, tmp_path: Path) -> None:
    before = take(tmp_path / "before", SSH, file("/etc/sudoers", "a" * 64))
    after = take(
        tmp_path / "after", SSH, file("/etc/sudoers", "b" * 64), file("/etc/hullmark/agent.yaml")
    )
    done = run("footprint", "--before", before, "--after", after)
    assert done.code == 1
    assert done.out == (
        "before  web1, 2026-11-28T21:06:40Z\n"
        "after   web1, 2026-11-28T21:06:40Z\n"
        "\n"
        "NOT ANNOUNCED: 1\n"
        "    changed file     /etc/sudoers  sha256 aaaaaaaaaaaa... -> bbbbbbbbbbbb...\n"
        "\n"
        "ANNOUNCED, Hullmark's own: 1\n"
        "  configuration: configuration of the agent and the master; the shop's own from then on\n"
        "    added   file     /etc/hullmark/agent.yaml  0:0 0644 1 bytes\n"
        "\n"
        "NOT COMPARED: 2\n"
        "    firewall: before: nft is not installed\n"
        "    firewall: after: nft is not installed\n"
        "\n"
        "1 difference announced, 1 not announced\n"
    )
    document = run("footprint", "--before", before, "--after", after, "-o", "json").document
    assert document["schema"] == "hullmark.footprint-comparison/1"
    assert (document["announced"], document["not_announced"]) == (1, 1)
    assert [
        (one["key"], one["announced"], one["announcement"]) for one in document["differences"]
    ] == [
        ("/etc/hullmark/agent.yaml", True, "configuration"),
        ("/etc/sudoers", False, ""),
    ]


def test_nothing_that_is_not_announced(run: Run, tmp_path: Path) -> None:
    before = take(tmp_path / "before", SSH)
    after = take(tmp_path / "after", SSH, *[file(f"/etc/hullmark/{n:02}") for n in range(30)])
    done = run("footprint", "--before", before, "--after", after)
    assert done.code == 0
    assert "and 10 more; --all shows them" in done.out
    assert "more;" not in run("footprint", "--before", before, "--after", after, "--all").out


def test_names_that_a_terminal_would_obey(run: Run, tmp_path: Path) -> None:
    before = take(tmp_path / "before", SSH)
    after = take(
        tmp_path / "after", SSH, file("/etc/\x1b[2Jx\nNOT ANNOUNCED: nothing"), file("/\udcff")
    )
    done = run("footprint", "--before", before, "--after", after)
    assert done.code == 1
    assert "\x1b" not in done.out
    assert done.out.count("\nNOT ANNOUNCED") == 1


def test_a_file_that_is_no_picture(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("hello\n")
    done = run("footprint", "--before", str(tmp_path / "x"))
    assert (done.code, done.out) == (2, "")
    assert f"{tmp_path}/x:1: not JSON" in done.err
    assert "--record" in done.err
    assert run("footprint", "--before", str(tmp_path / "none")).code == 2


@pytest.mark.parametrize(
    "words",
    [("--after", "x"), ("--record", "x", "--before", "y"), ("--record", "x", "--after", "y")],
)
def test_options_that_do_not_go_together(run: Run, words: tuple[str, ...]) -> None:
    assert run("footprint", *words).code == 64


def test_record_and_compare_with_the_host(
    run: Run, tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "Host", lambda: world.host)
    path = str(tmp_path / "before.json.gz")
    done = run("footprint", "--record", path, "-o", "json")
    assert (done.code, done.document["schema"]) == (0, "hullmark.footprint-record/1")
    assert {"what": "network", "why": "ip is not installed"} in done.document["not_looked_at"]
    assert run("footprint", "--before", path).code == 0
    world.write("/etc/cron.d/planted", "* * * * * root id\n")
    done = run("footprint", "--before", path)
    assert done.code == 1
    assert "added   file     /etc/cron.d/planted" in done.out
    again = run("footprint", "--record", path)
    assert again.code == 2
    assert "can't be taken again" in again.err
    text = run("footprint", "--record", str(tmp_path / "second"))
    assert "not looked at: network: ip is not installed" in text.err


def test_a_picture_that_can_not_be_written(run: Run, tmp_path: Path) -> None:
    done = run("footprint", "--record", str(tmp_path / "none/before"))
    assert done.code == 2
    assert "No such file" in done.err


def test_not_as_root(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    before = take(tmp_path / "before", SSH)
    assert run("footprint", "--record", str(tmp_path / "x")).code == 2
    assert run("footprint", "--before", before).code == 2
    assert run("footprint", "--before", before, "--after", before).code == 0
    assert not (tmp_path / "x").exists()


def test_the_list(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    details = {"type": "file", "owner": "0:0", "mode": "0600", "size": 3}
    found = Listing(
        [
            Item(
                "hullmark",
                "file",
                "/etc/hullmark/agent.yaml",
                "configuration",
                "configuration",
                details,
            ),
            Item(
                "containers",
                "container",
                "shop.web.1.g1",
                "container",
                "of app shop",
                {"ports": ["8080/tcp"]},
            ),
            *(
                Item("hullmark", "file", f"/usr/share/{n}", "package hullmark", "its own file", {})
                for n in range(30)
            ),
        ],
        [("firewall", "nft is not installed")],
        Holdings("docker", "20.10", "unix:///run/docker.sock", False),
    )
    monkeypatch.setattr(listing, "of_this_host", lambda socket, exported: found)
    done = run("footprint")
    assert done.code == 0
    assert done.out.startswith(
        "HULLMARK'S OWN\n  users and groups: none\n  services: none\n  processes: none\n"
    )
    assert (
        "  files: 31\n"
        "    configuration: configuration\n"
        "      /etc/hullmark/agent.yaml  root:root 0600 3 bytes\n"
        "    package hullmark: its own file: 30; --all shows them\n"
    ) in done.out
    assert "/usr/share/29\n" in run("footprint", "--all").out
    assert "    container: of app shop\n      shop.web.1.g1  ports=8080/tcp\n" in done.out
    assert "NOT LOOKED AT: 1\n    firewall: nft is not installed\n" in done.out
    assert "live-restore" in done.err
    document = run("footprint", "-o", "json").document
    assert document["schema"] == "hullmark.footprint/1"
    assert document["engine"]["live_restore"] is False
    assert len(document["items"]) == 32
    assert Host().root == ""
