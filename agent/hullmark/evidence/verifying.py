"""Verifying a pack: its form, its manifest both ways, its signature up to a root that is named from outside, and its records' chains.

It needs the pack and a fingerprint, and nothing else: no network, no daemon, no clock.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import BinaryIO, Optional, TypeVar

from hullmark.errors import HullmarkError, InvalidInput, Refused
from hullmark.evidence import ziplayout
from hullmark.evidence.manifest import (
    APART,
    CHAIN,
    FORM,
    MANIFEST,
    MANIFEST_MAX_BYTES,
    REPORT,
    SIGNATURE,
    SMALL_MAX_BYTES,
    LogEntry,
    Manifest,
)
from hullmark.evidence.pack import digest_of
from hullmark.evidence.slices import Standing, heads_of, verified
from hullmark.evidence.ziplayout import Member
from hullmark.model import jsontext
from hullmark.model.audit import Head
from hullmark.model.evidence import PackSignature
from hullmark.model.wire import canonical, from_wire, to_wire
from hullmark.pki.packs import check_pack

T = TypeVar("T", Manifest, PackSignature)

LINE_MAX_BYTES = 1 << 20
SHOWN_MOST = 50


@dataclass
class Verdict:
    """`findings` are what is wrong, each with its file; `notes` what isn't, and good to know. `signer` is empty where the signature is not
    good."""

    signer: str = ""
    signed_at: float = 0.0
    by: str = ""
    files: int = 0
    manifest: Optional[Manifest] = None
    logs: list[tuple[LogEntry, Standing]] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return bool(self.signer) and not self.findings


def verify(file: BinaryIO, fingerprint: str) -> Verdict:
    """Never raises for what a file is like."""
    verdict = Verdict()
    try:
        archive, members = ziplayout.opened(file)
        manifest = _trusted(archive, members, fingerprint, verdict)
    except HullmarkError as error:
        verdict.findings.append(error.message)
        return verdict
    verdict.manifest, verdict.files = manifest, len(manifest.files)
    _compare(archive, file, members, manifest, verdict)
    if not verdict.findings:
        _check_logs(archive, members, manifest, verdict)
    del verdict.findings[SHOWN_MOST:]
    return verdict


def _trusted(
    archive: zipfile.ZipFile, members: Mapping[str, Member], fingerprint: str, verdict: Verdict
) -> Manifest:
    """The manifest, once its signature is good. Raises HullmarkError, naming the file."""
    for name in (*APART, REPORT):
        if name not in members:
            raise Refused(f"{name}: it is missing")
    manifest = _small(archive, members[MANIFEST], MANIFEST_MAX_BYTES)
    signature = _read(
        PackSignature, SIGNATURE, _small(archive, members[SIGNATURE], SMALL_MAX_BYTES)
    )
    chain = _small(archive, members[CHAIN], SMALL_MAX_BYTES)
    try:
        signed = replace(signature, chain_pem=chain.decode("ascii"))
        verdict.signer = check_pack(signed, hashlib.sha256(manifest).hexdigest(), fingerprint)
    except UnicodeDecodeError as error:
        raise Refused(f"{CHAIN}: it is no text") from error
    except HullmarkError as error:
        raise Refused(f"{MANIFEST}, {SIGNATURE}, {CHAIN}: {error.message}") from error
    verdict.signed_at, verdict.by = signature.at, signature.by
    found = _read(Manifest, MANIFEST, manifest)
    if found.form != FORM:
        raise Refused(
            f"{MANIFEST}: it is of the form {found.form[:40]!r}, and this version knows {FORM}"
        )
    return found


def _small(archive: zipfile.ZipFile, member: Member, most: int) -> bytes:
    if member.size > most or member.stored != member.size:
        raise Refused(f"{member.name}: it is too large, or packed")
    return b"".join(ziplayout.content(archive, member))


def _read(cls: type[T], name: str, text: bytes) -> T:
    try:
        found = from_wire(cls, jsontext.loads(text))
    except (ValueError, InvalidInput) as error:
        raise Refused(f"{name}: it can't be read: {error}") from error
    if canonical(to_wire(found)) != text:
        raise Refused(f"{name}: it is not written as packs have it")
    return found


def _compare(
    archive: zipfile.ZipFile,
    file: BinaryIO,
    members: Mapping[str, Member],
    manifest: Manifest,
    verdict: Verdict,
) -> None:
    there, listed = set(members) - set(APART), set(manifest.files)
    verdict.findings += [f"{name}: it is missing" for name in sorted(listed - there)]
    verdict.findings += [f"{name}: it is not in the manifest" for name in sorted(there - listed)]
    for name in sorted(there & listed):
        member, entry = members[name], manifest.files[name]
        try:
            stored = digest_of(ziplayout.stored(file, member))
            same = stored == entry.stored_sha256 and (
                (member.size, digest_of(ziplayout.content(archive, member)))
                == (entry.size, entry.sha256)
            )
        except HullmarkError as error:
            verdict.findings.append(error.message)
            continue
        if not same:
            verdict.findings.append(
                f"{name}: it was changed: its bytes are not those of the manifest"
            )


def _check_logs(
    archive: zipfile.ZipFile, members: Mapping[str, Member], manifest: Manifest, verdict: Verdict
) -> None:
    """What the records say of each other, and masters of them: whoever made the pack can't have left out one in the middle."""
    heads: dict[str, list[Head]] = {}
    for name in manifest.heads:
        try:
            for content, _ in heads_of(_lines(archive, members[name])):
                known = heads.setdefault(content.master, [])
                known.extend(each.head for each in content.heads)
        except KeyError:
            verdict.findings.append(f"{name}: it is missing")
        except HullmarkError as error:
            verdict.findings.append(f"{name}: {error.message}")
    for entry in manifest.logs:
        if entry.file not in members:
            verdict.findings.append(f"{entry.file}: it is missing")
            continue
        own = {
            master: [head for head in known if head.log == entry.log]
            for master, known in heads.items()
        }
        standing = verified(_lines(archive, members[entry.file]), own)
        verdict.logs.append((entry, standing))
        verdict.findings += [f"{entry.file}: {problem}" for problem in standing.problems]
        ends = (standing.log, standing.first, standing.last, standing.last_hash)
        if ends != (entry.log, entry.first, entry.last, entry.last_hash):
            verdict.findings.append(
                f"{entry.file}: it does not have the records that the manifest says"
            )
        elif standing.vouched_to < standing.last:
            verdict.notes.append(_newer(entry, standing))


def _newer(entry: LogEntry, standing: Standing) -> str:
    if not standing.vouched_to:
        return f"{entry.file}: no master vouches for any record of it"
    return f"{entry.file}: records {standing.vouched_to + 1} to {standing.last} are newer than what masters vouch for"


def _lines(archive: zipfile.ZipFile, member: Member) -> Iterator[bytes]:
    """A line that is too long comes in parts, which are no records."""
    rest = b""
    for chunk in ziplayout.content(archive, member):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
        if len(rest) > LINE_MAX_BYTES:
            yield rest
            rest = b""
    if rest:
        yield rest
