"""A command of the agent's program, killed (SIGKILL) just before the n-th of what Python's audit events tell of.

python -m tests.e2e.killed_before os.rename 'ejected[.]json' 1 eject --config agent.yaml
"""

from __future__ import annotations

import os
import re
import signal
import sys
from typing import Any

from hullmark.agentd.__main__ import main


def arm(event: str, pattern: str, number: int) -> None:
    """`pattern` is found in the event's arguments, as they are printed."""
    seen = 0

    def hook(told: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if told == event and re.search(pattern, repr(arguments)):
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


if __name__ == "__main__":
    arm(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    sys.argv[:] = ["hullmark-agent", *sys.argv[4:]]
    sys.exit(main())
