"""Bodies of requests: never more than the limit is read, never for longer than the time given.

What comes is not trusted: it may be huge, cut off, nested without end, or not text at all. All of it ends in
InvalidInput (status 400 or 413), never in a fault of ours.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

from aiohttp import web

from hullmark.errors import InvalidInput, Problem
from hullmark.masterd.answers import TooLarge

BODY_S = 20.0
"""A body has to be here within this time."""
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


def decode_body(body: bytes) -> Any:
    """The JSON value of a body. Raises InvalidInput."""
    if not body:
        raise _wrong("there is no body", "a JSON object")
    try:
        text = body.decode()
        data = json.loads(text, parse_int=_whole_number)
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
    except RecursionError as error:
        raise _wrong("it is nested too deeply", "a JSON object") from error
    return data


def _whole_number(digits: str) -> int:
    if len(digits) > NUMBER_MAX_CHARACTERS:
        raise ValueError(f"a number with {len(digits)} digits")
    return int(digits)


def _wrong(message: str, allowed: str) -> InvalidInput:
    return InvalidInput([Problem(message, allowed=allowed)])


def _too_large(limit_bytes: int) -> TooLarge:
    return TooLarge([Problem("the body is too large", allowed=f"at most {limit_bytes} bytes")])
