"""The one place where the Docker SDK's errors become ours."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import docker.errors
import requests
import urllib3.exceptions

from hullmark.errors import Conflict, EngineUnavailable, NotFound, Refused


@contextlib.contextmanager
def translated(socket_url: str) -> Iterator[None]:
    """EngineUnavailable where no answer came; NotFound, Conflict or Refused for the engine's "no"."""
    try:
        yield
    except docker.errors.NotFound as error:
        raise NotFound(words(error)) from error
    except docker.errors.APIError as error:
        status = error.response.status_code if error.response is not None else 0
        if status == 409:
            raise Conflict(words(error)) from error
        raise Refused(words(error)) from error
    except (
        requests.RequestException,
        urllib3.exceptions.HTTPError,
        docker.errors.DockerException,
        ConnectionError,
    ) as error:
        raise EngineUnavailable(
            f"the engine at {socket_url} does not answer: {innermost(error)}",
            remedy=_remedy(socket_url, error),
        ) from error


def words(error: docker.errors.APIError) -> str:
    """What the engine itself said."""
    explanation = error.explanation
    if isinstance(explanation, bytes):
        explanation = explanation.decode(errors="replace")
    return str(explanation or error).strip()


def innermost(error: BaseException) -> str:
    """The reason at the bottom of a chain of wrapped errors, shortened."""
    cause = error
    while cause.__cause__ or cause.__context__:
        cause = cause.__cause__ or cause.__context__ or cause
    return (str(cause) or type(cause).__name__)[:200]


def _remedy(socket_url: str, error: BaseException) -> str:
    text = innermost(error)
    if "Permission denied" in text:
        return f"the agent's user may not use {socket_url}; it has to run as root"
    if "podman" in socket_url:
        return "start it: systemctl start podman.socket"
    return "start it: systemctl start docker"
