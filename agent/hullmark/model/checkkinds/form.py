"""What a kind of check may be given in a controls file."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Optional


class Form(enum.Enum):
    TEXT = "text"
    TEXTS = "a list of texts"
    PATH = "an absolute path"
    PATHS = "a list of absolute paths"  # with * and ? where the kind says so
    NUMBER = "a whole number"
    NUMBERS = "a list of whole numbers"
    DURATION = "a duration, such as 90s, 10m, 25h or 7d"  # in seconds
    PATTERN = "a regular expression"
    MODE = "a file mode in octal, such as 0640"
    YES_NO = "true or false"
    CHOICE = "one of its choices"


@dataclass(frozen=True)
class Parameter:
    """`required` ones have no default. A CHOICE's `choices` are all it may be; a NUMBER is at least the first of `bounds`, and at
    most the second. `holds`: what has to stand in one of its texts."""

    form: Form
    meaning: str
    default: object = None
    required: bool = False
    choices: tuple[str, ...] = ()
    bounds: Optional[tuple[int, int]] = None
    holds: str = ""


@dataclass(frozen=True)
class Kind:
    """`level` is the most that a pass of this kind can prove; a file may say less, never more. `needs`: `engine`, or empty.
    `not_exercised`: what a pass never shows. Of the parameters `one_of` at least one has to be given; `beside` says which one a
    parameter means nothing without. `waits`: the one that says how long a look itself waits, which is less than its timeout."""

    meaning: str
    level: int
    interval_s: float
    timeout_s: float
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    needs: str = ""
    not_exercised: str = ""
    one_of: tuple[str, ...] = ()
    beside: Mapping[str, str] = field(default_factory=dict)
    waits: str = ""
