"""What a judgement by a host's policy gathers, and the few ways in which rules are held against values."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Optional

from hullmark.model.policy import Policy, Rule, Rules, Sights, Violation

SHOWN_MAX = 120
UNSEEN = "was not looked at"
"""Of a path, where nothing says why."""


class Case:
    """One request, with what was looked up for it, and the violations found so far. `started`: it is a container that exists and is
    about to be started, not one to be made."""

    def __init__(self, sights: Sights, policy: Policy, *, started: bool = False) -> None:
        self.sights = sights
        self.policy = policy
        self.rules: Rules = policy.rules_for(sights.app, sights.service)
        self.started = started
        self._found: dict[Violation, None] = {}

    @property
    def found(self) -> tuple[Violation, ...]:
        return tuple(self._found)

    def no(self, key: str, message: str) -> None:
        """What a rule forbids."""
        rule: Rule = self.rules[key]
        self._found[Violation(key, message, rule.file, rule.line)] = None

    def never(self, message: str) -> None:
        """What no policy can allow, because nobody could say what it would do."""
        self._found[Violation("request", message)] = None

    def out_of_scope(self, message: str) -> None:
        policy = self.policy
        self._found[Violation("scope", message, policy.scope_file, policy.scope_line)] = None

    def yes(self, key: str) -> bool:
        return self.rules[key].yes

    def lists(self, key: str, name: str) -> bool:
        """Whether a list of patterns has the name."""
        return fits(self.rules[key].items, name)


def fits(patterns: Optional[Iterable[str]], name: str) -> bool:
    """None: anything does. Without regard to case where the pattern is written in lower case only."""
    return patterns is None or any(fnmatchcase(name, pattern) for pattern in patterns)


def within(path: str, folder: str) -> bool:
    """Whether an absolute, resolved path is the folder, or is in it."""
    return f"{path}/".startswith(f"{folder.rstrip('/')}/")


def cited(text: object) -> str:
    """A value of a request for a message: in one line, not too long."""
    shown = str(text)
    shown = shown if len(shown) <= SHOWN_MAX else f"{shown[:SHOWN_MAX]}..."
    return shown if shown.isprintable() else repr(shown)
