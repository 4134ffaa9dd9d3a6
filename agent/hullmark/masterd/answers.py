"""Answers as HTTP has them: dataclasses as JSON, and each error of ours with its status. Faults as a log has them."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from typing import Any, Optional

from aiohttp import web

from hullmark import errors
from hullmark.errors import HullmarkError, InvalidInput
from hullmark.model.api import ErrorAnswer, ErrorProblem
from hullmark.model.wire import canonical, to_wire

PROBLEMS_MAX = 100
"""Problems that one answer lists."""

# The first class that fits decides. `model/api.py` says what each status means.
_STATUSES: tuple[tuple[type[HullmarkError], int], ...] = (
    (errors.InvalidInput, 400),
    (errors.NotFound, 404),
    (errors.Forbidden, 403),
    (errors.StaleEpoch, 421),
    (errors.Refused, 409),
    (errors.Unavailable, 503),
)


class NotLoggedIn(errors.Forbidden):
    """Who calls is not known: status 401."""

    status = 401


class TooLarge(errors.InvalidInput):
    """The body is larger than this question may be: status 413."""

    status = 413


class WrongType(errors.InvalidInput):
    """The body is said to be something else than this question takes: status 415."""

    status = 415


class WrongMethod(errors.Refused):
    """The path is known, and not with this method: status 405."""

    status = 405

    def __init__(self, method: str, allowed: Sequence[str]) -> None:
        super().__init__(f"{method[:16]} is not possible here", remedy=f"use {', '.join(allowed)}")
        self.allowed = allowed


def status_of(error: HullmarkError) -> int:
    own: Optional[int] = getattr(error, "status", None)
    if own is not None:
        return own
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)


def error_answer(error: HullmarkError) -> ErrorAnswer:
    """An error for the wire. `error` is the nearest class of `hullmark.errors`."""
    name = next(kind.__name__ for kind in type(error).__mro__ if hasattr(errors, kind.__name__))
    problems: tuple[ErrorProblem, ...] = ()
    if isinstance(error, InvalidInput):
        problems = tuple(
            ErrorProblem(item.message, item.file, item.line, item.field, item.allowed)
            for item in error.problems[:PROBLEMS_MAX]
        )
    return ErrorAnswer(name, error.message[:8192], error.remedy, problems)


def error_response(error: HullmarkError) -> web.Response:
    """A connection whose request was not read to its end is not used again."""
    status = status_of(error)
    response = json_response(error_answer(error), status)
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, WrongMethod):
        response.headers["Allow"] = ", ".join(error.allowed)
    if status in (400, 413):
        response.force_close()
    return response


def fault_response(fault_id: str) -> web.Response:
    """For a fault of ours: the id is in the master's log, with all else."""
    answer = ErrorAnswer(
        "HullmarkError",
        f"the master failed at this; its log has it under {fault_id}",
        "look there, and report it",
    )
    return json_response(answer, 500)


def json_response(answer: Any, status: int = 200) -> web.Response:
    body = canonical(to_wire(answer))
    response = web.Response(body=body, status=status, content_type="application/json")
    response.headers["Server"] = "hullmark"
    return response


def traced(error: BaseException) -> str:
    """The traceback of a fault of ours, for the log."""
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))
