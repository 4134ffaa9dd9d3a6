"""Commands in containers: what a person asks for, and what comes back while one runs.

    POST /v1/apps/APP/exec   ExecRequest   -> ExecRecord, one a line: output as it is written, then one last record
                                              with the exit code, or with the error that kept it from having one

An agent answers its `exec` task in the same records, after a first line `CLAIM` by which it asks whether somebody still waits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

LIMIT_S = 60.0
LIMIT_MOST_S = 3600.0
WORDS_MAX = 256
WORDS_MAX_BYTES = 8 << 10
"""Of all words together: the command stands in audit records."""
CLAIM = b'{"claim":true}'


@dataclass(frozen=True)
class ExecRequest:
    """`slot` 0: the first that runs. `user` and `working_dir` empty: the container's own. After `limit_s` it is killed. A command
    is never run twice for one `request_id`."""

    service: str
    command: tuple[str, ...]
    request_id: str
    slot: int = 0
    user: str = ""
    working_dir: str = ""
    limit_s: float = LIMIT_S
    ticket: str = ""
    reason: str = ""


@dataclass(frozen=True)
class ExecRecord:
    """`data` is base64 of what the command wrote to `stream`, `stdout` or `stderr`. Of the last record `exit_code` is set, or
    `error` with the name of its class in `kind`. `instance` and `host` are set in the last one too."""

    stream: str = ""
    data: str = ""
    exit_code: Optional[int] = None
    kind: str = ""
    error: str = ""
    remedy: str = ""
    instance: str = ""
    host: str = ""

    @property
    def last(self) -> bool:
        return self.exit_code is not None or bool(self.error)
