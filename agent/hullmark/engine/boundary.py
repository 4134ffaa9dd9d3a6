"""The one place where what goes wrong between us and an engine becomes our own errors."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import docker.errors
import requests
import urllib3.exceptions

from hullmark.errors import Conflict, EngineUnavailable, NotFound, Refused


class EngineSilent(EngineUnavailable):
    """The engine took the call and gave no answer in time."""

    socket_url = ""


class EngineMissing(EngineUnavailable):
    """No engine is on this host, as far as can be seen."""


@contextlib.contextmanager
def translated(socket_url: str) -> Iterator[None]:
    """EngineUnavailable where no answer came, or none that can be read; EngineSilent where time ran out."""
    try:
        yield
    except (
        requests.RequestException,
        urllib3.exceptions.HTTPError,
        docker.errors.DockerException,
        OSError,
        ValueError,
    ) as error:
        message = f"the engine at {socket_url} does not answer: {innermost(error)}"
        if _timed_out(error):
            raise _silent(message, socket_url, _BUSY) from error
        raise EngineUnavailable(message, remedy=_remedy(socket_url, error)) from error


def hanging(socket_url: str, silent_s: float) -> EngineSilent:
    """Of an engine that was asked for so long for what it answers whatever it is busy with."""
    return _silent(
        f"the engine at {socket_url} hangs: it is there, and answered nothing for {silent_s:.0f} s",
        socket_url,
        _restart(socket_url),
    )


def _silent(message: str, socket_url: str, remedy: str) -> EngineSilent:
    error = EngineSilent(message, remedy=remedy)
    error.socket_url = socket_url
    return error


_BUSY = (
    "it may only be busy: see its log. If it answers nothing at all, the agent says within a minute "
    "that it hangs, and how to restart it"
)
_CONFLICTS = (
    "is already in use",  # of a name
    "cannot be removed without force",
    "has associated containers",
)
"""Words of Podman's, with status 500, for what Docker answers with 409."""


_GONE = "does not exist in database: no such container"
"""Words of Podman's, with status 500, for a container that goes while it is looked at."""

_NETWORK_FULL = ("no available IPv4 addresses", "failed to find free IP in range")
"""Words of Docker's and of Podman's for a subnet whose addresses are all taken."""


def checked(answer: requests.Response) -> requests.Response:
    """NotFound, Conflict or Refused, in the engine's own words, for a status that says "no"."""
    if answer.status_code < 400:
        return answer
    said = words(answer)
    if answer.status_code == 404 or _GONE in said:
        raise NotFound(said)
    if answer.status_code == 409 or any(part in said for part in _CONFLICTS):
        raise Conflict(said)
    if any(part in said for part in _NETWORK_FULL):
        raise Refused(
            f"the network has no address left for another container ({said}): set a lower "
            "engine.subnet_prefix in agent.yaml, remove the app and apply it again"
        )
    raise Refused(said)


def words(answer: requests.Response) -> str:
    """What the engine itself said."""
    try:
        message = str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        message = answer.text
    return message.strip() or f"status {answer.status_code} {answer.reason}"


def innermost(error: BaseException) -> str:
    """The reason at the bottom of a chain of wrapped errors, shortened."""
    cause = _root(error)
    return (str(cause) or type(cause).__name__)[:200]


def _root(error: BaseException) -> BaseException:
    cause = error
    while cause.__cause__ or cause.__context__:
        cause = cause.__cause__ or cause.__context__ or cause
    return cause


def _timed_out(error: BaseException) -> bool:
    """Where time runs out within an answer, it comes as a ConnectionError around what happened. The queue of a socket from which nobody takes
    connections gets full: unix(7), EAGAIN."""
    if isinstance(_root(error), BlockingIOError):
        return True
    inside = error.args[0] if error.args else None
    kinds = (requests.ReadTimeout, urllib3.exceptions.ReadTimeoutError)
    return isinstance(error, kinds) or isinstance(inside, kinds)


def _remedy(socket_url: str, error: BaseException) -> str:
    if "Permission denied" in innermost(error):
        return f"the agent's user may not use {socket_url}; it has to run as root"
    if "podman" in socket_url:
        return (
            "start it: systemctl start podman.socket, or without systemd: "
            f"podman system service -t 0 {socket_url}"
        )
    return "start it: systemctl start docker, or: service docker start, or start dockerd"


def _restart(socket_url: str) -> str:
    """For an engine that runs and answers nothing: to start it does nothing."""
    if "podman" in socket_url:
        return (
            "restart it, unless it is only just being started or stopped: systemctl restart podman.service, or without systemd: end the process "
            f"podman system service, and start it: podman system service -t 0 {socket_url}; containers go on"
        )
    return (
        "restart it, unless it is only just being started or stopped: systemctl restart docker, or: service docker restart; containers go on where "
        '/etc/docker/daemon.json has "live-restore": true, others may end with it and are started again'
    )
