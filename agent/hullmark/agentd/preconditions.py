"""What has to be right before the agent starts: its configuration and its private key.

Each is a file that a person has to mend, and that the agent must not go on with. What else may be wrong with a host does not
keep the agent from starting (see `daemon`), nor does a policy that can't be read: what runs goes on (see `policyfolder`). While
the agent runs, a key that can't be used is a problem, looked at again.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from hullmark.agentd import enrolment
from hullmark.agentd.enrolment import Enrolment
from hullmark.config import AgentConfig, Loaded, load_agent
from hullmark.errors import BrokenState, HullmarkError, InvalidInput, NotFound, NotStarted, Problem
from hullmark.pki.files import read_private

REMEDY = (
    "mend what is named, check it by: hullmark config check agent; then start the agent again. "
    "Nothing was started"
)
PROBLEMS_TOLD = 3


def check(config_file: str) -> AgentConfig:
    """The configuration. Raises NotStarted."""
    try:
        config = _read(config_file).config
    except InvalidInput as error:
        raise NotStarted(error.problems, remedy=REMEDY) from error
    _check_key(Path(config.state_dir))
    return config


def reread(config_file: str, in_force: AgentConfig) -> AgentConfig:
    """The configuration as its files have it now. Raises InvalidInput for one that a running agent can't take over."""
    loaded = _read(config_file)
    if loaded.config.state_dir != in_force.state_dir:
        file, _, line = loaded.sources["state_dir"].rpartition(":")
        problem = Problem(
            "can't change while the agent runs: restart it",
            file=file or config_file,
            line=int(line) if line.isdecimal() else None,
            field="state_dir",
            allowed=f"{in_force.state_dir} until then",
        )
        raise InvalidInput([problem])
    return loaded.config


def in_short(error: InvalidInput) -> str:
    """The first problems, on one line."""
    told = [str(problem) for problem in error.problems[:PROBLEMS_TOLD]]
    more = len(error.problems) - len(told)
    return "; ".join([*told, f"and {more} more"] if more else told)


def _read(config_file: str) -> Loaded[AgentConfig]:
    return load_agent(config_file, owned=True)


def _check_key(folder: Path) -> None:
    """Of a host that is enrolled. A file that is missing is no danger to anybody: the agent says so, and waits for it."""
    try:
        enrolled = enrolment.read(folder)
    except HullmarkError:
        return
    key = folder / enrolled.key_name
    again = enrolment.AGAIN.format(host=enrolled.host)
    try:
        read_private(key)
        whole = _fits(folder, enrolled)
    except NotFound:
        return
    except BrokenState as error:
        raise NotStarted([Problem(error.message)], remedy=error.remedy or again) from error
    except OSError as error:
        raise NotStarted([Problem(f"{error.strerror}", file=str(key))], remedy=again) from error
    if not whole:
        message = f"is damaged, or not the key of {enrolled.certificate_name}"
        raise NotStarted([Problem(message, file=str(key))], remedy=again)


def _fits(folder: Path, enrolled: Enrolment) -> bool:
    """Whether the key can be read and is the certificate's; True where the certificate itself can't be used."""
    certificate = folder / enrolled.certificate_name
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(certificate)
    except (ssl.SSLError, OSError):
        return True
    try:
        # A key with a passphrase is none of ours: nobody is asked for it.
        context.load_cert_chain(certificate, folder / enrolled.key_name, password=lambda: "")
    except ssl.SSLError:
        return False
    return True
