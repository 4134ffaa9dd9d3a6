"""Stock hosts for a person.

python -m tests.hosts shell bookworm --engine docker
python -m tests.hosts shell trixie --engine podman --repository build/repo
python -m tests.hosts boot bookworm-sysvinit
python -m tests.hosts roots
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.hosts import engines
from tests.hosts.bed import Bed
from tests.hosts.host import Host
from tests.hosts.images import IMAGES
from tests.hosts.roots import CACHE, OFTEN, make_roots


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    if options.verb == "roots":
        make_roots(options.image or OFTEN)
        print(f"hosts: the roots are in {CACHE}")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(128 + signal.SIGHUP))
    try:
        with Bed() as bed:
            host = _boot(bed, options)
            if options.verb == "boot":
                return _stay(host)
            return _shell(host)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _parser() -> argparse.ArgumentParser:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m tests.hosts", description=__doc__, formatter_class=formatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb, what in (
        ("shell", "boot a host and give a shell on it; the host is gone when the shell ends"),
        ("boot", "boot a host and keep it until Ctrl-C; say how to get into it"),
    ):
        one = verbs.add_parser(verb, help=what, description=what)
        one.add_argument("image", choices=IMAGES)
        one.add_argument(
            "--engine", choices=("", *engines.UNITS), default="", help="none if absent"
        )
        one.add_argument("--name", default="web1", help="the host's name; default: web1")
        one.add_argument(
            "--repository",
            type=Path,
            metavar="DIR",
            help="install from here, as `make repo` made it",
        )
    roots = verbs.add_parser("roots", help="only make the roots that hosts stand on")
    roots.add_argument("image", nargs="*", help=f"default: {' '.join(OFTEN)}")
    return parser


def _boot(bed: Bed, options: argparse.Namespace) -> Host:
    began = time.monotonic()
    host = bed.host(options.name, options.image, options.engine)
    if options.repository:
        host.use_repository(options.repository)
    print(f"hosts: {host} booted in {time.monotonic() - began:.1f} s", flush=True)
    return host


def _shell(host: Host) -> int:
    """A shell's Ctrl-C is the shell's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    command = ["TERM=xterm", "bash", "--login"]
    if sys.stdin.isatty():
        # A terminal of the host's own.
        command = [
            "TERM=xterm",
            "script",
            "--quiet",
            "--return",
            "--command",
            "bash --login",
            "/dev/null",
        ]
    return subprocess.run(
        host.inside(command), preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    ).returncode


def _stay(host: Host) -> int:
    print(f"hosts: enter it by nsenter -t {host.pid} -a bash --login; Ctrl-C ends it", flush=True)
    while True:
        signal.pause()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
