"""Bodies of requests: never more than the limit is read, never for longer than the time given.

What comes is not trusted: it may be huge, cut off, nested without end, or not text at all. All of it ends in
InvalidInput (status 400 or 413), never in a fault of ours.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import Iterable
from typing import Any

from aiohttp import web

from hullmark.errors import InvalidInput, Problem
from hullmark.masterd.answers import TooLarge, WrongType
from hullmark.model import jsontext

BODY_S = 20.0
"""A body has to be here within this time."""
DEPTH_MAX = 64
JSON = "application/json"
NUMBER_MAX_CHARACTERS = 40
"""A whole number of the wire has at most 20 digits; reading one with millions takes minutes."""

_HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")


async def read_body(request: web.BaseRequest, limit_bytes: int) -> bytes:
    """Raises TooLarge, InvalidInput for one that is cut off or comes too slowly."""
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise _wrong("the body is compressed", "no Content-Encoding")
    if (request.content_length or 0) > limit_bytes:
        raise _too_large(limit_bytes)
    try:
        return await asyncio.wait_for(_read(request, limit_bytes), BODY_S)
    except asyncio.TimeoutError as error:
        raise _wrong("the body did not come in time", f"within {BODY_S:.0f} s") from error


async def _read(request: web.BaseRequest, limit_bytes: int) -> bytes:
    parts, size_bytes = [], 0
    async for part in request.content.iter_any():
        size_bytes += len(part)
        if size_bytes > limit_bytes:
            raise _too_large(limit_bytes)
        parts.append(part)
    return b"".join(parts)


def check_type(request: web.BaseRequest) -> None:
    """Raises WrongType for a body that is said to be something else than JSON. One of which nothing is said is read."""
    said = request.headers.get("Content-Type", JSON).partition(";")[0].strip().lower()
    if said != JSON:
        raise WrongType([Problem(f"the body is said to be {said[:80]!r}", allowed=JSON)])


def decode_body(body: bytes, *, strict: bool = True) -> Any:
    """The JSON value of a body. `strict`, as people's are read: also what readers of JSON differ about is wrong,
    such as a key that stands twice. Raises InvalidInput."""
    if not body:
        raise _wrong("there is no body", "a JSON object")
    try:
        text = body.decode()
        data = jsontext.loads(
            text,
            depth=DEPTH_MAX,
            parse_int=_whole_number,
            parse_float=_decimal if strict else None,
            parse_constant=_no_number,
            object_pairs_hook=_object if strict else None,
        )
        if _HALF_CHARACTER.search(text):
            json.dumps(data, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        raise _wrong(f"byte {error.start} is not UTF-8", "JSON in UTF-8") from error
    except UnicodeEncodeError as error:
        raise _wrong("it holds half of a surrogate pair", "whole characters") from error
    except json.JSONDecodeError as error:
        message = f"not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
        raise _wrong(message, "a JSON object") from error
    except ValueError as error:
        raise _wrong(str(error), "a JSON object") from error
    return data


def _whole_number(digits: str) -> int:
    if len(digits) > NUMBER_MAX_CHARACTERS:
        raise ValueError(f"a number with {len(digits)} digits")
    return int(digits)


def _decimal(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("a number that is out of range")
    return value


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _object(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key[:60]!r} stands twice")
        found[key] = value
    return found


def _wrong(message: str, allowed: str) -> InvalidInput:
    return InvalidInput([Problem(message, allowed=allowed)])


def _too_large(limit_bytes: int) -> TooLarge:
    return TooLarge([Problem("the body is too large", allowed=f"at most {limit_bytes} bytes")])
