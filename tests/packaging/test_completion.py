"""Completion, as real shells do it: one table of lines and what each proposes."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import click
import pytest

from tests.unit.cli.test_main import ALL

GENERATOR = Path(__file__).resolve().parents[2] / "packaging" / "completion" / "generate.py"
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TERM": "dumb"}
LIMIT_S = 20.0

# {} is a folder with the files `a.yaml` and `b.yaml`.
LINES: Mapping[str, set[str]] = {
    "hullmark ": {path[0] for path in ALL},
    "hullmark st": {"status"},
    "hullmark host ": {"cordon", "drain", "label", "remove", "show", "uncordon"},
    "hullmark --master https://m1:7442 host dr": {"drain"},
    "hullmark -o ": {"json", "text"},
    "hullmark token create --role ": {"admin", "auditor", "deployer", "viewer"},
    "hullmark apply --time": {"--timeout"},
    "hullmark apply --ca {}/": {"a.yaml", "b.yaml"},
    "hullmark apply {}/a": {"a.yaml"},
    "hullmark apply -f x {}/b": {"b.yaml"},
    "hullmark config show ": {"agent", "master"},
    "hullmark config show agent {}/a": {"a.yaml"},
    # Names of apps and hosts would have to be asked for; a ticket is anybody's guess.
    "hullmark ps ": set(),
    "hullmark host drain ": set(),
    "hullmark apply --ticket ": set(),
    # The word after an option that takes a value is no command.
    "hullmark --master host ": {path[0] for path in ALL},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("completion")
    subprocess.run([sys.executable, "-B", str(GENERATOR), "--out", str(folder)], check=True)
    return folder


def in_bash(made: Path, line: str, home: Path) -> list[str]:
    """bash calls the function with the words that it has made of the line."""
    words = [*shlex.split(line), *([""] if line.endswith(" ") else [])]
    script = (
        'set -u; source "$1"; shift; [[ $(complete -p hullmark) == *_hullmark* ]]; '
        'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _hullmark; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "--norc", "-ec", script, "bash", str(made / "hullmark.bash"), *words],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=LIMIT_S,
    )
    return done.stdout.splitlines()


def in_fish(made: Path, line: str, home: Path) -> list[str]:
    script = "source $argv[1]; complete -C $argv[2]"
    done = subprocess.run(
        ["fish", "--no-config", "-c", script, str(made / "hullmark.fish"), line],
        env={**ENVIRONMENT, "HOME": str(home)},
        cwd=home,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=LIMIT_S,
    )
    return [each.partition("\t")[0] for each in done.stdout.splitlines()]


ZSHRC = r"""
PROMPT=
fpath=($FOLDER $fpath)
autoload -Uz compinit
compinit -D -u
bindkey '^I' complete-word
compadd() {
    # With these it only asks, and proposes nothing.
    if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then builtin compadd "$@"; return; fi
    local -a hits
    builtin compadd -A hits "$@"
    print -lr -- $hits >>$FOUND
    builtin compadd "$@"
}
finish() { print END >>$FOUND; exit }
comppostfuncs=(finish)
"""


def in_zsh(made: Path, line: str, home: Path) -> list[str]:
    """An interactive zsh, its completion's last step watched: what it hands to `compadd`."""
    (home / ".zshrc").write_text(ZSHRC)
    found = home / "found"
    found.write_text("")
    places = {"HOME": str(home), "ZDOTDIR": str(home), "FOLDER": str(made), "FOUND": str(found)}
    typed_in(["zsh", "-d", "-i"], line + "\t", {**ENVIRONMENT, **places}, home)
    words = found.read_text().split()
    assert words[-1:] == ["END"], words
    return words[:-1]


def typed_in(command: list[str], keys: str, environment: Mapping[str, str], home: Path) -> str:
    """What the shell showed on a terminal until it ended."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        command,
        stdin=its,
        stdout=its,
        stderr=its,
        env=dict(environment),
        cwd=home,
        start_new_session=True,
    )
    os.close(its)
    shown = b""
    ends = time.monotonic() + LIMIT_S
    try:
        os.write(ours, keys.encode())
        while process.poll() is None and time.monotonic() < ends:
            if select.select([ours], [], [], 0.05)[0]:
                with contextlib.suppress(OSError):  # EIO: its end is closed
                    shown += os.read(ours, 4096)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(ours)
    return shown.decode(errors="replace")


SHELLS: Mapping[str, Callable[[Path, str, Path], list[str]]] = {
    "bash": in_bash,
    "zsh": in_zsh,
    "fish": in_fish,
}


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("shell", SHELLS)
def test_what_is_proposed(shell: str, line: str, made: Path, tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    (files / "a.yaml").touch()
    (files / "b.yaml").touch()
    home = tmp_path / "home"
    home.mkdir()
    (home / "nothing-to-do-with-it").touch()
    proposed = SHELLS[shell](made, line.format(files), home)
    assert {Path(each).name for each in proposed if each} == LINES[line]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["hullmark", "--output", "=", "j"], ["json"]),
        (["hullmark", "--output", "="], ["text", "json"]),
        (["hullmark", "apply", "--ticket", "=", "x", "--wa"], ["--wait"]),
    ],
)
def test_an_equals_sign_in_bash(
    words: list[str], expected: list[str], made: Path, tmp_path: Path
) -> None:
    """bash makes three words of `--output=json`."""
    assert in_bash(made, shlex.join(words), tmp_path) == expected


def test_a_tab_in_bash(made: Path, tmp_path: Path) -> None:
    (tmp_path / "rc").write_text(
        f"source {made}/hullmark.bash\nhullmark() {{ printf '<%s>' \"$@\"; }}\nPS1=\n"
    )
    keys = "hullmark host dr\tweb1 --tick\tCHG-1\nexit\n"
    environment = {**ENVIRONMENT, "HOME": str(tmp_path)}
    shown = typed_in(["bash", "--rcfile", str(tmp_path / "rc"), "-i"], keys, environment, tmp_path)
    assert "<host><drain><web1><--ticket><CHG-1>" in shown


def test_the_shells_find_no_fault_in_it(made: Path) -> None:
    subprocess.run(["bash", "-n", str(made / "hullmark.bash")], check=True)
    subprocess.run(["zsh", "-n", str(made / "_hullmark")], check=True)
    subprocess.run(["fish", "-n", str(made / "hullmark.fish")], check=True)


def test_every_command_and_option_is_in_it(made: Path) -> None:
    for path, command in ALL.items():
        for option in (each for each in command.params if isinstance(each, click.Option)):
            if option.hidden:
                continue
            for name in (*option.opts, *option.secondary_opts):
                line = f"hullmark {' '.join(path)} {name[: 3 if name[1] == '-' else 2]}"
                assert name in in_bash(made, line, made), (path, name)
