"""What this host's policy would say of services that a person is only planning: the answer to a `judge` task. Nothing is changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from hullmark.agentd.configs import Configs
from hullmark.agentd.policyfolder import PolicyFolder
from hullmark.agentd.sights import Viewpoint
from hullmark.agentd.trial import Trial
from hullmark.config import AgentConfig
from hullmark.engine.protocol import Engine
from hullmark.errors import HullmarkError, InvalidInput, PolicyRefused
from hullmark.model import jsontext
from hullmark.model.app import Bundle
from hullmark.model.foresight import PolicyAnswer, PolicyQuestion, ServiceRefusal
from hullmark.model.orders import PublishedPort
from hullmark.model.wire import from_wire

REASONS_MOST = 8
"""Of one service; the rest are counted."""

Ports = tuple[PublishedPort, ...]
Ask = Callable[[Bundle, Ports], tuple[str, ...]]
"""The reasons for which a service would be refused. Raises HullmarkErrors where that can't be told."""


def by_policy(config: AgentConfig, engine: Engine, folder: PolicyFolder) -> Ask:
    """By the policy as its files have it when it is asked."""
    view, configs = Viewpoint(config, engine), Configs(Path(config.state_dir) / "configs")

    def ask(bundle: Bundle, ports: Ports) -> tuple[str, ...]:
        try:
            policy = folder.current()
        except PolicyRefused as error:
            return (error.message,)
        found = Trial(view, configs, engine.info().name).of(bundle, ports, policy)
        return tuple(map(str, found.violations))

    return ask


def answer(given: Mapping[str, str], ask: Ask) -> PolicyAnswer:
    try:
        text = jsontext.loads(given.get("asked", ""))
        question = from_wire(PolicyQuestion, text, ignore_unknown=True)
    except (ValueError, InvalidInput) as error:
        return PolicyAnswer(error=f"not a question that this agent knows: {error}")
    refused = []
    for one in question.services:
        try:
            reasons = ask(one.bundle, one.ports)
        except HullmarkError as error:
            return PolicyAnswer(error=error.message)
        if reasons:
            refused.append(ServiceRefusal(one.bundle.service, _shortened(reasons)))
    return PolicyAnswer(tuple(refused))


def _shortened(reasons: tuple[str, ...]) -> tuple[str, ...]:
    more = len(reasons) - REASONS_MOST
    return (*reasons[:REASONS_MOST], f"and {more} more") if more > 0 else reasons
