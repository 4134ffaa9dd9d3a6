"""What this host's policy would say of an app, asked by a person on the host: no master is needed, and nothing is changed.

The app comes as JSON on standard input, read by whoever knows Compose files.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Optional

from hullmark.agentd.configs import Configs
from hullmark.agentd.sights import Viewpoint
from hullmark.agentd.trial import Finding, Trial
from hullmark.config import AgentConfig, load_policy_folder
from hullmark.core.serviceports import by_engine
from hullmark.engine.docker_api import DockerApiEngine, find_engine
from hullmark.engine.protocol import Engine
from hullmark.errors import EXIT_DEGRADED, EXIT_OK, EngineUnavailable, InvalidInput, Problem
from hullmark.model import jsontext
from hullmark.model.app import App, PortSpec, bundle
from hullmark.model.orders import PublishedPort
from hullmark.model.policy import Policy
from hullmark.model.wire import from_wire

SCHEMA = "hullmark.policy-test/1"


def run_test(config: AgentConfig, text: str, *, as_json: bool) -> tuple[str, int]:
    """What to print, and the exit code: 1 where something would be refused. Raises InvalidInput for a policy that can't be
    read."""
    app = _app(text)
    policy = load_policy_folder(config.policy_dir)
    engine, name, why = _engine(config)
    trial = Trial(Viewpoint(config, engine), Configs(Path(config.state_dir) / "configs"), name)
    try:
        found = {
            service: trial.of(bundle(app, service), tuple(_ports(spec.ports)), policy)
            for service, spec in app.services.items()
        }
    finally:
        if engine is not None:
            engine.close()
    made = document(app, policy, found, why) if as_json else None
    told = words(app, policy, found, why) if made is None else json.dumps(made, indent=2)
    refused = any(one.violations for one in found.values())
    return told, EXIT_DEGRADED if refused else EXIT_OK


def with_folder(config: AgentConfig, folder: str) -> AgentConfig:
    """With the policy of another folder, to be tried before it is installed."""
    return replace(config, policy_dir=str(Path(folder).absolute())) if folder else config


def _app(text: str) -> App:
    try:
        return from_wire(App, jsontext.loads(text))
    except ValueError as error:
        raise InvalidInput([Problem(f"not an app: {error}", file="standard input")]) from error


def _engine(config: AgentConfig) -> tuple[Optional[Engine], str, str]:
    """It, its name, and why there is none. Without one, the paths of Docker are taken."""
    try:
        engine = DockerApiEngine(find_engine(config.engine_socket))
        return engine, engine.info().name, ""
    except EngineUnavailable as error:
        return None, "docker", error.message


def _ports(specs: tuple[PortSpec, ...]) -> Iterator[PublishedPort]:
    """Every port of the host that an instance may get."""
    for spec in by_engine(specs):
        last = max(spec.published_first, spec.published_last)
        for published in range(spec.published_first, last + 1):
            yield PublishedPort(spec.target, published, spec.protocol, spec.host_ip)


def document(app: App, policy: Policy, found: dict[str, Finding], why: str) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "app": app.name,
        "scope": policy.scope,
        "policy_files": list(policy.files),
        "engine_trouble": why,
        "services": [
            {
                "service": service,
                "allowed": not one.violations,
                "violations": [asdict(violation) for violation in one.violations],
                "unknown": list(one.unknown),
            }
            for service, one in found.items()
        ],
    }


def words(app: App, policy: Policy, found: dict[str, Finding], why: str) -> str:
    return "\n".join(_lines(app, policy, found, why))


def _lines(app: App, policy: Policy, found: dict[str, Finding], why: str) -> Iterator[str]:
    for service, one in found.items():
        yield f"{app.name}/{service}  {'refused' if one.violations else 'allowed'}"
        for violation in one.violations:
            yield f"  {violation}"
        for note in one.unknown:
            yield f"  not known yet: {note}"
    if not policy.files:
        yield "This host has no policy: only what is built in was judged."
    if why:
        yield f"The engine was not asked, so volumes, networks and images on it are left out: {why}"
