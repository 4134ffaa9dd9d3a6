"""An operator's word over three hosts: data goes nowhere by itself, and a slot that leaves finds again what it left."""

from __future__ import annotations

from tests.e2e.fleet_apps import apply, by_host
from tests.fleet import IMAGE, Fleet

# Says which container it was that first wrote into its volume.
DB = f"""\
  db:
    image: {IMAGE}
    pull_policy: never
    init: true
    command:
      - sh
      - -c
      - "[ -e /data/mark ] || hostname > /data/mark; cat /data/mark; exec sleep 100000"
    stop_grace_period: 1s
    volumes: [data:/data]
"""
VOLUMES = "volumes: {data: {}}\n"
ACCEPT = ("--accept-data-loss", "--timeout", "60s")


def mark(fleet: Fleet) -> str:
    """What the database of now found in its volume."""
    return fleet.hullmark("logs", "--no-prefix", "shop/db").strip()


def home(fleet: Fleet) -> str:
    (found,) = (host for host, slots in by_host(fleet, "shop").items() if slots)
    return found


def test_a_database_moves_on_an_operators_word_only(fleet: Fleet) -> None:
    apply(fleet, "shop", DB, more=VOLUMES)
    first, before, lives = home(fleet), mark(fleet), fleet.lives("shop")

    refused = fleet.run("move", "shop/db")
    assert refused.returncode == 2
    assert f"shop/db.1 on {first}: volume data" in refused.stderr
    assert fleet.lives("shop") == lives, "nothing was stopped or started"
    assert fleet.volumes("shop_data") == [first]

    fleet.hullmark("move", "shop/db", *ACCEPT, "--ticket", "CHG-1")
    second = home(fleet)
    assert second != first
    assert mark(fleet) != before, "it starts empty there"
    assert sorted(fleet.volumes("shop_data")) == sorted([first, second]), "nothing was removed"
    moved = [event for event in fleet.json("events")["events"] if event["kind"] == "app.moved"]
    assert (moved[-1]["subject"], moved[-1]["fields"]["ticket"]) == ("shop", "CHG-1")

    fleet.hullmark("move", "shop/db", "--to", first, *ACCEPT)
    assert home(fleet) == first
    assert mark(fleet) == before, "what it left there was kept"
    assert len(fleet.running("shop")) == 1


def test_an_app_that_is_applied_again_finds_its_data(fleet: Fleet) -> None:
    """Also where another host has less on it by then."""
    apply(fleet, "shop", DB, more=VOLUMES)
    first, before = home(fleet), mark(fleet)
    fleet.hullmark("rm", "--wait", "shop")
    others = [name for name in fleet.hosts if name != first]
    pinned = "    deploy: {{replicas: 4, placement: {{constraints: [node.hostname == {}]}}}}\n"
    busy = "".join(
        f"  {name}:\n    image: {IMAGE}\n    pull_policy: never\n    init: true\n"
        f"    command: [sleep, '100000']\n    stop_grace_period: 1s\n{pinned.format(first)}"
        for name in ("a", "b")
    )
    apply(fleet, "busy", busy)
    assert not any(by_host(fleet, "busy")[name] for name in others)
    apply(fleet, "shop", DB, more=VOLUMES)
    assert home(fleet) == first
    assert mark(fleet) == before


def test_who_has_a_port_is_named_on_every_host(fleet: Fleet) -> None:
    edge = f"""\
  edge:
    image: {IMAGE}
    pull_policy: never
    init: true
    command: [sleep, "100000"]
    stop_grace_period: 1s
    ports: [{{target: 53, published: 5300, protocol: udp, mode: host}}]
    deploy: {{replicas: 3}}
"""
    apply(fleet, "lan", edge)
    held = [one for one in fleet.json("ports")["ports"] if one["port"] == 5300]
    assert [(one["host"], one["port"], one["protocol"], one["kind"]) for one in held] == [
        (name, 5300, "udp", "instance") for name in sorted(fleet.hosts)
    ]
    file = fleet.folder / "late.yaml"
    file.write_text(f"name: late\nservices:\n{edge}")
    planned = fleet.run("plan", str(file))
    assert planned.returncode == 1
    assert "no place for edge.1, edge.2, edge.3" in planned.stdout
    assert "3 hosts: port 5300/udp taken by lan/edge" in planned.stdout
    assert fleet.json("apps")["apps"][0]["name"] == "lan", "and nothing was changed"
