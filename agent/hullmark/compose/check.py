"""What a master checks again about an app that came over the API and didn't go through our reader.

It holds for everything that `build_app` gives. Fields are those of the model.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence

from hullmark.compose import forms
from hullmark.compose.check_service import check_service
from hullmark.compose.dependencies import circle
from hullmark.compose.files import MAX_CONFIG_BYTES
from hullmark.compose.networks import gateway_problem
from hullmark.compose.probe import Probe
from hullmark.errors import Problem
from hullmark.model import wire
from hullmark.model.app import App, Config, Network, Volume

MAX_APP_BYTES = (1 << 20) - (64 << 10)
"""A transaction of the store takes 1 MiB. The reserve is for what is kept beside the app: generations,
hashes, warnings, and the record of the request."""


def check(app: App) -> Sequence[Problem]:
    """Everything that is wrong with the app; empty for a good one."""
    probe = Probe()
    probe.form("name", app.name, forms.APP_NAME)
    if not app.services:
        probe.wrong("services", "no services", "at least one")
    for name, service in probe.named("services", app.services, forms.SERVICE_NAME):
        check_service(probe, f"services.{name}", app, service)
    for name, network in probe.named("networks", app.networks):
        _check_network(probe, f"networks.{name}", network)
    for name, volume in probe.named("volumes", app.volumes):
        _check_volume(probe, f"volumes.{name}", volume)
    for name, config in probe.named("configs", app.configs):
        _check_config(probe, f"configs.{name}", config)
    for name, secret in probe.named("secrets", app.secrets):
        probe.form(f"secrets.{name}.path", secret.path, forms.BIND_SOURCE)
    _check_circle(probe, app)
    if not probe.problems:
        _check_size(probe, app)
    return probe.problems


def _check_network(probe: Probe, at: str, network: Network) -> None:
    probe.form(f"{at}.subnet", network.subnet, forms.optional(forms.SUBNET))
    probe.form(f"{at}.gateway", network.gateway, forms.optional(forms.IPV4))
    probe.form(f"{at}.external", network.external, forms.optional(forms.NETWORK_NAME))
    probe.pairs(f"{at}.labels", network.labels, forms.LABEL)
    probe.pairs(f"{at}.driver_options", network.driver_options, forms.WORD)
    problem = gateway_problem(network)
    if problem:
        probe.wrong(f"{at}.gateway", problem)


def _check_volume(probe: Probe, at: str, volume: Volume) -> None:
    probe.form(f"{at}.driver", volume.driver, forms.optional(forms.DRIVER))
    probe.form(f"{at}.external", volume.external, forms.optional(forms.ENGINE_NAME))
    probe.pairs(f"{at}.labels", volume.labels, forms.LABEL)
    probe.pairs(f"{at}.driver_options", volume.driver_options, forms.WORD)


def _check_config(probe: Probe, at: str, config: Config) -> None:
    try:
        content = base64.b64decode(config.content_b64, validate=True)
    except (ValueError, binascii.Error):
        probe.wrong(f"{at}.content_b64", "not base64")
        return
    if len(content) > MAX_CONFIG_BYTES:
        probe.wrong(f"{at}.content_b64", f"{len(content)} bytes", f"at most {MAX_CONFIG_BYTES}")
    if len(content) != config.size_bytes:
        probe.wrong(f"{at}.size_bytes", f"the content has {len(content)} bytes")
    if hashlib.sha256(content).hexdigest() != config.sha256:
        probe.wrong(f"{at}.sha256", "not the hash of the content")


def _check_circle(probe: Probe, app: App) -> None:
    waits = {
        name: [each.service for each in service.depends_on]
        for name, service in app.services.items()
    }
    found = circle(waits)
    if found:
        at = f"services.{found[0]}.depends_on"
        probe.wrong(at, f"a circle: {' -> '.join((*found, found[0]))}")


def _check_size(probe: Probe, app: App) -> None:
    size_bytes = len(wire.canonical(wire.to_wire(app)))
    if size_bytes > MAX_APP_BYTES:
        probe.wrong(
            "",
            f"the app takes {size_bytes} bytes; keep large files on the hosts and mount them",
            f"at most {MAX_APP_BYTES} bytes, configs counted as base64",
        )
