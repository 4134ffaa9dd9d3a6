"""`hullmark policy`: what this host's own rules are, and what they say of an app."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn, Optional

import click

from hullmark.cli import composefiles, failure, show, target
from hullmark.cli.composefiles import Project
from hullmark.cli.daemon import AGENT_FILE, become
from hullmark.cli.options import Asked, offline
from hullmark.cli.table import table
from hullmark.cli.target import Target

if TYPE_CHECKING:
    from hullmark.model.policy import Policy, Rule

_CONFIG = click.option(
    "--config", metavar="FILE", default=AGENT_FILE, show_default=True, help="The agent's."
)
_FOLDER = click.option(
    "--policy-dir", metavar="DIR", type=click.Path(exists=True, file_okay=False),
    help="Another policy than the one in force.",
)  # fmt: skip


@click.group(
    no_args_is_help=False,
    epilog="""\b
Example:
  hullmark policy show
  hullmark policy test compose.yaml
""",
)
def command() -> None:
    """This host's own rules: what they are, and what they say of an app.

    A host's policy holds whatever a master orders. It is files of the host, below
    /etc/hullmark/policy.d, and read again by the agent whenever they changed.
    """


@command.command(
    short_help="What this host would refuse of an app.",
    epilog="""\b
Examples:
  hullmark policy test compose.yaml
  hullmark policy test --policy-dir /usr/share/hullmark/policies compose.yaml
  hullmark policy test -f compose.yaml -f production.yaml --output json

\b
Exit codes: 0 all of it is allowed, 1 some of it would be refused, 2 failed
(also: the policy can't be read), 64 wrong usage.
""",
)
@composefiles.project
@_CONFIG
@_FOLDER
@offline
def test(asked: Asked, project: Project, config: str, policy_dir: Optional[str]) -> NoReturn:
    """Say what this host's policy would refuse of the services of a Compose file, rule by rule.

    Run it on the host: paths are followed, and volumes, networks and images looked
    up, as they are there. Needs no master, and changes nothing. A host port of a
    range is judged as if each of them could be chosen.
    """
    import json

    from hullmark.model.wire import to_wire

    loaded = composefiles.load(project)
    if not asked.json:
        failure.warn((), loaded.notes)
    arguments = ["policy-test", "--config", config, "--output", asked.output]
    arguments += ["--policy-dir", policy_dir] if policy_dir else []
    become("agentd", arguments, given=json.dumps(to_wire(loaded.app)))


@command.command(
    name="show",
    short_help="Every rule in force, and where it is from.",
    epilog="""\b
Examples:
  hullmark policy show
  hullmark policy show shop/api
  hullmark policy show --output json
""",
)
@click.argument("service", metavar="[APP/SERVICE]", required=False)
@_CONFIG
@_FOLDER
@offline
def show_rules(
    asked: Asked, service: Optional[str], config: str, policy_dir: Optional[str]
) -> None:
    """Show every rule, its value, and the file and line that it comes from.

    With a service's name: as its exemptions have them.
    """
    from hullmark.config import load_agent, load_policy_folder

    of = target.parse(service) if service else Target("")
    policy = load_policy_folder(policy_dir or load_agent(config).config.policy_dir)
    rules = list(_rules(policy, of.app, of.service))
    if asked.json:
        show.document(
            "policy",
            {
                "scope": policy.scope,
                "on_violation": policy.on_violation,
                "files": list(policy.files),
                "digest": policy.digest,
                "service": service or "",
                "rules": [_as_json(rule) for rule in rules],
                "exemptions": [
                    {"for": one.pattern, "rules": [_as_json(rule) for rule in one.given.values()]}
                    for one in policy.exemptions
                ],
            },
        )
        return
    show.lines(f"scope {policy.scope or 'none'}, on_violation {policy.on_violation}")
    show.lines(*table(("RULE", "VALUE", "FROM"), [_row(rule) for rule in rules]))
    if not service:
        show.lines(*_exemptions(policy))


def _rules(policy: Policy, app: str, service: str) -> Iterator[Rule]:
    from hullmark.model.policy import RULES

    rules = policy.rules_for(app, service)
    for key in RULES:
        yield rules[key]


def _exemptions(policy: Policy) -> Iterator[str]:
    for exemption in policy.exemptions:
        yield ""
        yield f"for {exemption.pattern} instead:"
        yield from table(("RULE", "VALUE", "FROM"), [_row(one) for one in exemption.given.values()])


def _as_json(rule: Rule) -> dict[str, Any]:
    return {"rule": rule.key, "value": _plain(rule.value), "from": _place(rule)}


def _row(rule: Rule) -> tuple[str, str, str]:
    return rule.key, _text(rule.value), _place(rule)


def _place(rule: Rule) -> str:
    return f"{rule.file}:{rule.line}" if rule.file else "default"


def _plain(value: object) -> Any:
    return list(value) if isinstance(value, tuple) else "any" if value is None else value


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {most}" for name, most in value.items()) or "none"
    if isinstance(value, float):
        return f"{value:.12g}"
    return "any" if value is None else str(value)
