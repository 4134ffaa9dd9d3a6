"""What people may see of an app."""

from __future__ import annotations

import json
from typing import Any

from hullmark.compose import shown
from hullmark.model.app import (
    App,
    Config,
    ContainerSpec,
    Logging,
    Network,
    Secret,
    Service,
    Volume,
)
from hullmark.model.wire import to_wire

APP = App(
    "shop",
    {
        "web": Service(
            ContainerSpec(
                "nginx",
                command=("serve", "--port=80"),
                environment={"PASSWORD": "hunter2", "MODE": "prod", "EMPTY": ""},
                labels={"team": "shop"},
                logging=Logging("splunk", {"splunk-token": "hunter2", "tag": "web"}),
            )
        ),
        "db": Service(ContainerSpec("db")),
    },
    networks={"n": Network(driver_options={"mtu": "1400", "encryption.key": "hunter2"})},
    volumes={
        "share": Volume(
            driver_options={
                "type": "cifs",
                "device": "//server/share",
                "o": "username=shop,password=hunter2,hunter2,vers=3.0",
            }
        ),
        "remote": Volume("plugin", {"secret_key": "hunter2", "url": "https://u:hunter2@host/x"}),
    },
    configs={"c": Config("aHVudGVyMg==", "ab" * 32, 7)},
    secrets={"s": Secret("/etc/shop/secret")},
)


def test_nothing_secret_is_shown() -> None:
    text = json.dumps(shown(APP))
    assert "hunter2" not in text
    assert "aHVudGVyMg" not in text


def said(shown: Any, asked: Any) -> Any:
    """What is shown, cut to what is asked about."""
    if isinstance(asked, dict):
        return {key: said(shown[key], asked[key]) for key in asked}
    return shown


def test_all_else_is() -> None:
    expected = {
        "name": "shop",
        "services": {
            "web": {
                "container": {
                    "image": "nginx",
                    "command": ["serve", "--port=80"],
                    "environment": {"PASSWORD": "***", "MODE": "***", "EMPTY": "***"},
                    "labels": {"team": "shop"},
                    "logging": {
                        "driver": "splunk",
                        "options": {"splunk-token": "***", "tag": "web"},
                    },
                }
            },
            "db": {"container": {"image": "db"}},
        },
        "networks": {"n": {"driver_options": {"mtu": "1400", "encryption.key": "***"}}},
        "volumes": {
            "share": {
                "driver_options": {
                    "type": "cifs",
                    "device": "//server/share",
                    "o": "username=shop,password=***,vers=3.0",
                }
            },
            "remote": {
                "driver": "plugin",
                "driver_options": {"secret_key": "***", "url": "https://u:***@host/x"},
            },
        },
        "configs": {"c": {"sha256": "ab" * 32, "size_bytes": 7}},
        "secrets": {"s": {"path": "/etc/shop/secret"}},
    }
    assert said(shown(APP), expected) == expected
    assert set(to_wire(APP)) <= set(shown(APP))


def test_defaults_are_written_out() -> None:
    web: Any = shown(APP)["services"]["web"]  # type: ignore[index]
    assert web["container"]["read_only"] is False
    assert web["deploy"]["replicas"] == 1


def test_the_app_itself_stays() -> None:
    before = json.dumps(to_wire(APP))
    shown(APP)
    assert json.dumps(to_wire(APP)) == before
