"""The one form that a pack's zip file has, so that no byte of it is free: all members one after the other, the directory, nothing else.

What a zip file could have beside that (two members of one name, paths out of the folder, comments, extra fields, gaps, data that grows beyond
all measure) is refused by name before anything is read out.
"""

from __future__ import annotations

import os
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from hullmark.errors import Refused

DATE = (1980, 1, 1, 0, 0, 0)
MODE = 0o100600 << 16
VERSION, UNIX = 20, 3
FILES_MOST = 60_000
FILE_MAX_BYTES = (2 << 30) - 1
ALL_MAX_BYTES = 16 << 30
RATIO_MOST = 1100
"""Deflate makes text at most 1032 times smaller."""
CHUNK = 64 << 10
_NAME = re.compile(
    r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,120}(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]{0,120}){0,4}"
)
_LOCAL = struct.Struct("<4s5H3I2H")
_END = struct.Struct("<4s4H2IH")
_ENTRY = struct.Struct("<4s4B4H3I5H2I")
_DATED = (0, 33)
"""Time and date of DATE, as zip files have them."""


@dataclass(frozen=True)
class Member:
    """`offset` and `stored` are where its bytes are in the zip file, and how many."""

    name: str
    size: int
    offset: int
    stored: int


def member_info(name: str, *, packed: bool) -> zipfile.ZipInfo:
    """For writing."""
    info = zipfile.ZipInfo(name, DATE)
    info.external_attr, info.create_system = MODE, UNIX
    info.create_version = info.extract_version = VERSION
    info.compress_type = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    return info


def is_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None and ".." not in name


def opened(file: BinaryIO) -> tuple[zipfile.ZipFile, dict[str, Member]]:
    """The members by name. Raises Refused for anything but a file of this form."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    try:
        archive = zipfile.ZipFile(file)
        infos = archive.infolist()
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, struct.error) as error:
        raise Refused(f"it is no zip file: {error}") from error
    if len(infos) > FILES_MOST:
        raise Refused(f"it has {len(infos)} files; a pack has at most {FILES_MOST}")
    for info in infos:
        _check_entry(info)
    _check_end(file, infos, size)
    found: dict[str, Member] = {}
    at = total = 0
    for info in infos:
        if info.filename in found:
            raise Refused(f"{info.filename} is in it twice")
        at = _check_local(file, info, at)
        total += info.file_size
        found[info.filename] = Member(
            info.filename, info.file_size, at - info.compress_size, info.compress_size
        )
    if total > ALL_MAX_BYTES:
        raise Refused(f"its files are more than {ALL_MAX_BYTES >> 30} GiB together")
    if at != archive.start_dir:
        raise Refused("it has bytes that are of no file")
    return archive, found


def content(archive: zipfile.ZipFile, member: Member) -> Iterator[bytes]:
    """Its bytes, never more than it says it has. Raises Refused where they can't be read."""
    left = member.size
    try:
        with archive.open(member.name) as file:
            while left > 0:
                chunk = file.read(min(CHUNK, left))
                if not chunk:
                    raise Refused(f"{member.name}: it is shorter than it says")
                left -= len(chunk)
                yield chunk
            if file.read(1):
                raise Refused(f"{member.name}: it is longer than it says")
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError) as error:
        raise Refused(f"{member.name}: {error}") from error


def stored(file: BinaryIO, member: Member) -> Iterator[bytes]:
    """Its bytes as they stand in the zip file."""
    at, left = member.offset, member.stored
    while left > 0:
        file.seek(at)
        chunk = file.read(min(CHUNK, left))
        if not chunk:
            raise Refused(f"{member.name}: it ends too early")
        at, left = at + len(chunk), left - len(chunk)
        yield chunk


def _check_entry(info: zipfile.ZipInfo) -> None:
    name = info.filename
    if not is_name(name):
        raise Refused(f"{name[:80]!r}: no pack has a file of such a name")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or info.flag_bits:
        raise Refused(f"{name}: it is packed in a way that no pack has")
    if info.file_size > FILE_MAX_BYTES or info.file_size > RATIO_MOST * (info.compress_size + 64):
        raise Refused(f"{name}: it would be larger than a pack's files are")


def _check_local(file: BinaryIO, info: zipfile.ZipInfo, at: int) -> int:
    """Where the next member has to begin."""
    file.seek(at)
    head = file.read(_LOCAL.size)
    name = info.filename.encode("ascii")
    expected = (
        b"PK\3\4", VERSION, 0, info.compress_type, *_DATED, info.CRC, info.compress_size, info.file_size, len(name), 0,
    )  # fmt: skip
    whole = len(head) == _LOCAL.size and info.header_offset == at
    if not whole or _LOCAL.unpack(head) != expected or file.read(len(name)) != name:
        raise Refused(
            f"{info.filename}: it does not stand where and as the zip file's directory says"
        )
    return at + _LOCAL.size + len(name) + info.compress_size


def _check_end(file: BinaryIO, infos: list[zipfile.ZipInfo], size: int) -> None:
    """The directory and what stands behind it, byte for byte."""
    directory = b"".join(map(_entry, infos))
    begins = size - _END.size - len(directory)
    end = _END.pack(b"PK\5\6", 0, 0, len(infos), len(infos), len(directory), max(0, begins), 0)
    file.seek(max(0, begins))
    if file.read() != directory + end:
        raise Refused(
            "its directory is not that of a pack: it has comments, other fields or dates, or bytes of no file"
        )


def _entry(info: zipfile.ZipInfo) -> bytes:
    """As a pack has it."""
    name = info.filename.encode("utf-8", "replace")
    head = _ENTRY.pack(
        b"PK\1\2", VERSION, UNIX, VERSION, 0, 0, info.compress_type & 0xFFFF, *_DATED, info.CRC, info.compress_size & 0xFFFFFFFF,
        info.file_size & 0xFFFFFFFF, len(name) & 0xFFFF, 0, 0, 0, 0, MODE, info.header_offset & 0xFFFFFFFF,
    )  # fmt: skip
    return head + name
