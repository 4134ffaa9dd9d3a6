"""Kinds from which a site makes checks of its own, for tools that Hullmark knows nothing of."""

from __future__ import annotations

from collections.abc import Mapping

from hullmark.model.checkkinds.form import Form, Kind, Parameter

_IF_MISSING = Parameter(
    Form.CHOICE,
    "what it means where it isn't there: the tool isn't on this host, or it is broken",
    default="fail",
    choices=("fail", "not_applicable"),
)
_PATTERNS = {
    "must_match": Parameter(Form.PATTERN, "a line that has to be there"),
    "must_not_match": Parameter(Form.PATTERN, "a line that may not be there"),
}

KINDS: Mapping[str, Kind] = {
    "command": Kind(
        "a command's exit code and output",
        level=2,
        interval_s=60.0,
        timeout_s=10.0,
        parameters={
            "argv": Parameter(
                Form.TEXTS,
                "the program and its words; no shell. Root owns it, and nobody else may change it",
                required=True,
            ),
            "codes": Parameter(Form.NUMBERS, "exit codes that are good", default=(0,)),
            **_PATTERNS,
            "number": Parameter(
                Form.PATTERN, "finds a number: its group `number`, or its first group"
            ),
            "at_least": Parameter(Form.NUMBER, "the least that the number may be"),
            "at_most": Parameter(Form.NUMBER, "the most that the number may be"),
            "if_missing": _IF_MISSING,
        },
        not_exercised="what the command does not try; a tool may say that it is well and be wrong",
        beside={"at_least": "number", "at_most": "number"},
    ),
    "file_age": Kind(
        "when a file was written last",
        level=2,
        interval_s=60.0,
        timeout_s=10.0,
        parameters={
            "path": Parameter(
                Form.PATH, "the file; with * and ? the newest that matches", required=True
            ),
            "at_most": Parameter(Form.DURATION, "how old it may be", required=True),
            "not_empty": Parameter(Form.YES_NO, "whether it must hold something", default=True),
            "if_missing": _IF_MISSING,
        },
        not_exercised="that what was written is right",
    ),
    "file_content": Kind(
        "what a file says",
        level=2,
        interval_s=60.0,
        timeout_s=10.0,
        parameters={
            "path": Parameter(Form.PATH, "the file", required=True),
            **_PATTERNS,
            "if_missing": _IF_MISSING,
        },
        not_exercised="that the tool has read the file",
        one_of=("must_match", "must_not_match"),
    ),
    "process": Kind(
        "a process that runs, and is neither stopped nor a zombie",
        level=1,
        interval_s=10.0,
        timeout_s=5.0,
        parameters={
            "name": Parameter(Form.TEXT, "its name, as ps -C has it", required=True),
            "executable": Parameter(
                Form.PATH, "which program it has to be; without it, anybody's process of this name will do"
            ),
            "at_least": Parameter(Form.NUMBER, "how many have to run", default=1, bounds=(1, 10000)),
            "if_missing": _IF_MISSING,
        },
        not_exercised="that it does its work",
        beside={"if_missing": "executable"},
    ),
    "unit": Kind(
        "a unit that systemd says is active",
        level=1,
        interval_s=10.0,
        timeout_s=5.0,
        parameters={
            "name": Parameter(Form.TEXT, "with its ending, such as falco.service", required=True),
            "enabled": Parameter(
                Form.YES_NO, "whether it must also start at the next boot", default=False
            ),
            "if_missing": _IF_MISSING,
        },
        not_exercised="that it does its work; a stopped process (SIGSTOP) is active too",
    ),
    "listener": Kind(
        "a port that something listens on, or nothing may",
        level=1,
        interval_s=30.0,
        timeout_s=5.0,
        parameters={
            "port": Parameter(Form.NUMBER, "1 to 65535", required=True, bounds=(1, 65535)),
            "protocol": Parameter(
                Form.CHOICE, "of the port", default="tcp", choices=("tcp", "udp")
            ),
            "address": Parameter(Form.TEXT, "on which of the host's addresses; any, if not said"),
            "listens": Parameter(
                Form.YES_NO, "true: something has to listen; false: nothing may", default=True
            ),
        },
        not_exercised="that who listens answers, and what it is",
    ),
    "log_canary": Kind(
        "a harmless line that is logged, and found where a tool writes or sends what was logged",
        level=3,
        interval_s=60.0,
        timeout_s=20.0,
        waits="within",
        parameters={
            "files": Parameter(
                Form.PATHS, "where the tool writes the line, in one of them; nobody else writes there", required=True
            ),
            "within": Parameter(Form.DURATION, "how soon it has to be there", default=15.0),
            "socket": Parameter(Form.PATH, "where it is logged", default="/dev/log"),
            "write_by": Parameter(
                Form.TEXTS,
                "a command that logs it in place of the socket; {text} in a word becomes the line. As argv of command",
                holds="{text}",
            ),
            "if_missing": _IF_MISSING,
        },
        not_exercised="what becomes of the line behind this file",
    ),
}  # fmt: skip
