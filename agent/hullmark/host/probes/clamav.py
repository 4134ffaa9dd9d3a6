"""Looks at ClamAV: its processes, and what clamd answers over its socket. Nothing is written to disk for it."""

from __future__ import annotations

import re
import struct
import threading
from collections.abc import Mapping
from typing import NamedTuple, Optional, Union

from hullmark.host.conversation import Address, ask
from hullmark.host.eye import Eye, Probe
from hullmark.host.programs import installed, running
from hullmark.model.control import Reading, Trouble

ANSWER_S = 10.0
SELF_CHECK_S = 600.0
"""How often clamd looks for new signatures, where its configuration does not say."""
SETTLING_S = 60.0
"""How long it may take to load them."""
_AGAIN_S = (45.0, 105.0)
"""When it is sent again after a change: freshclam tells clamd at once to load what it brought."""
_DATABASES = "/var/lib/clamav"
_LENGTH = struct.Struct(">I")


def see_daemon(eye: Eye, _: Mapping[str, object]) -> tuple[Reading, ...]:
    return _processes(eye, "clamd")


def see_updater(eye: Eye, _: Mapping[str, object]) -> tuple[Reading, ...]:
    return _processes(eye, "freshclam")


def see_signatures(eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
    return _hear(eye, given)[0]


class Canary:
    """Sends the test file when it is due, and gives the answer again until then: each find is a record in clamd's log, and may be
    an alert of somebody's. What was sent when is forgotten at the end of the process, and then it is due."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sent: dict[Address, _Sent] = {}

    def __call__(self, eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
        readings, where = _hear(eye, given)
        if where is None or readings[-1].trouble is not Trouble.NONE:
            return readings
        state = self._state(eye, readings, where)
        every = given.get("every")
        every_s = float(every) if isinstance(every, (int, float)) else 86400.0
        with self._lock:
            sent = self._sent.get(where.address)
        if sent is None or sent.is_due(eye.wall(), state, every_s, where.self_check_s + SETTLING_S):
            answer = ask(
                eye,
                "eicar",
                "clamd: INSTREAM (EICAR test file)",
                where.address,
                b"zINSTREAM\0" + _chunk(eicar_file()) + _chunk(b""),
                end=b"\0",
                timeout_s=ANSWER_S,
            )
            changed_at = 0.0
            if sent is not None:
                changed_at = sent.changed_at if sent.state == state else answer.at
            sent = _Sent(state, changed_at, answer)
            with self._lock:
                self._sent[where.address] = sent
        return (*readings, sent.answer)

    def _state(self, eye: Eye, readings: tuple[Reading, ...], where: _Where) -> tuple[str, ...]:
        """Differs when signatures or the process do."""
        folder = eye.stat("databases", where.databases)
        alive = running(eye, "processes", ["clamd"]).text
        numbers = [line.partition("\t")[0] for line in alive.splitlines()]
        return (readings[-1].text, folder.facts.get("mtime", ""), *numbers)


class _Sent(NamedTuple):
    state: tuple[str, ...]
    changed_at: float  # 0.0 where it has not since the first time
    answer: Reading

    def is_due(self, now: float, state: tuple[str, ...], every_s: float, loading_s: float) -> bool:
        """Signatures that have changed on disk are loaded later, and nothing tells when: it is sent some times more."""
        found = self.answer.trouble is Trouble.NONE and self.answer.text.endswith(" FOUND")
        at = self.answer.at
        later = (*_AGAIN_S, *range(600, int(loading_s), 600), loading_s)
        again = any(at < self.changed_at + each_s <= now for each_s in later)
        return not found or state != self.state or again or not at <= now < at + every_s


def eicar_file() -> bytes:
    """The 68 bytes of the European Institute for Computer Antivirus Research. They are put together here, so that no file of ours
    holds them and is taken for malware itself."""
    parts = ("X5O!P%@AP[4\\PZX54(P^)", "7CC)7}$EICAR-STANDARD", "-ANTIVIRUS-TEST-FILE", "!$H+H*")
    return "".join(parts).encode()


class _Where(NamedTuple):
    address: Address
    databases: str
    self_check_s: float


def _hear(eye: Eye, given: Mapping[str, object]) -> tuple[tuple[Reading, ...], Optional[_Where]]:
    """`program`, `config` and `version`, as far as it came."""
    program = installed(eye, "program", ["clamd"])
    if program.trouble is not Trouble.NONE:
        return (program,), None
    config = _config(eye, given)
    where = _where(config.text)
    if where is None:
        return (program, config), None
    question = b"zVERSION\0"
    version = ask(
        eye, "version", "clamd: VERSION", where.address, question, end=b"\0", timeout_s=ANSWER_S
    )
    return (program, config, version), where


def _config(eye: Eye, given: Mapping[str, object]) -> Reading:
    found = given.get("configs")
    configs = [str(one) for one in found] if isinstance(found, (list, tuple)) else []
    for path in configs:
        reading = eye.file("config", path)
        if reading.trouble is not Trouble.MISSING:
            return reading
    return Reading("config", ", ".join(configs), trouble=Trouble.MISSING, at=eye.wall())


def _where(config: str) -> Optional[_Where]:
    """None where it says no socket."""
    words = (line.split(None, 1) for line in config.splitlines() if not line.startswith("#"))
    said = {pair[0]: pair[1].strip().strip('"') for pair in words if len(pair) == 2}
    address: Union[Address, None] = said.get("LocalSocket")
    if address is None and re.fullmatch("[0-9]{1,5}", said.get("TCPSocket", "")):
        address = (said.get("TCPAddr", "127.0.0.1"), int(said["TCPSocket"]))
    if address is None:
        return None
    self_check = said.get("SelfCheck", "")
    self_check_s = float(self_check) if re.fullmatch("[0-9]{1,6}", self_check) else SELF_CHECK_S
    return _Where(address, said.get("DatabaseDirectory", _DATABASES), self_check_s)


def _chunk(content: bytes) -> bytes:
    return _LENGTH.pack(len(content)) + content


def _processes(eye: Eye, program: str) -> tuple[Reading, ...]:
    found = installed(eye, "program", [program])
    if found.trouble is not Trouble.NONE:
        return (found,)
    return (found, running(eye, "processes", [program]))


PROBES: Mapping[str, Probe] = {
    "clamav.daemon": see_daemon,
    "clamav.updater": see_updater,
    "clamav.signatures": see_signatures,
    "clamav.eicar": Canary(),
}
