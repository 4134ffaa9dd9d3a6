"""A pack is verified with a fingerprint alone, and any byte that is changed is found."""

from __future__ import annotations

import io
import json
import struct
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hullmark.errors import Refused
from hullmark.evidence import ziplayout
from hullmark.evidence.pack import write
from hullmark.evidence.verifying import Verdict, verify
from hullmark.model.evidence import PackSignature
from hullmark.model.wire import canonical, from_wire, to_wire
from hullmark.pki import certificates
from hullmark.pki.authority import Authority
from hullmark.pki.packs import local_signer, sign_pack
from tests.unit.evidence import packs
from tests.unit.evidence.logbook import BEGINS, DAY, Log
from tests.unit.evidence.packs import AT, CLUSTER, Master


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return packs.authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def master(authority: Authority) -> Master:
    return Master(authority)


@pytest.fixture(scope="module")
def log() -> Log:
    return packs.log()


@pytest.fixture(scope="module")
def good(authority: Authority, master: Master, log: Log) -> bytes:
    vouched = packs.heads(log, 3, len(log.lines))
    return packs.pack(packs.content(log, authority.root_fingerprint, vouched), master)


def found(pack: bytes, authority: Authority) -> Verdict:
    return verify(io.BytesIO(pack), authority.root_fingerprint)


def read(pack: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(pack)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(files: Mapping[str, bytes], **more: Any) -> bytes:
    """As a pack is, of other files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            info = ziplayout.member_info(
                name, packed=name not in ("manifest.json", "signature.json", "chain.pem")
            )
            for key, value in more.items():
                setattr(info, key, value)
            archive.writestr(info, data)
    return out.getvalue()


def test_a_good_pack_is_good(good: bytes, authority: Authority, log: Log) -> None:
    verdict = found(good, authority)
    assert (verdict.findings, verdict.notes, verdict.good) == ([], [], True)
    assert verdict.signer == f"master m1 of cluster {CLUSTER}"
    ((entry, standing),) = verdict.logs
    assert (entry.first, entry.last, standing.vouched_to) == (1, len(log.lines), len(log.lines))
    colons = ":".join(authority.root_fingerprint[at : at + 2] for at in range(0, 64, 2)).upper()
    assert verify(io.BytesIO(good), colons).good


def test_what_is_in_it(good: bytes, log: Log) -> None:
    files = read(good)
    assert set(files) == {
        "report.html", "csv/requirements.csv", "csv/controls.csv", "csv/checks.csv", "csv/outages.csv", "csv/incidents.csv",
        "raw/web1/audit-trail-auditd/daemon.txt", "audit/host-h1.jsonl", "audit/heads-m1.jsonl", "manifest.json", "signature.json",
        "chain.pem",
    }  # fmt: skip
    assert files["audit/host-h1.jsonl"] == b"".join(log.lines)
    raw = files["raw/web1/audit-trail-auditd/daemon.txt"].decode()
    assert "enabled 1" in raw
    assert log.lines[1][-67:-3].decode() in raw, "the record that it is from"
    assert "hunter2" not in raw
    assert "4111" not in raw


def test_any_byte_that_is_changed_is_found(good: bytes, authority: Authority) -> None:
    """Some of every part; and all of what is small: heads of members, the directory, what vouches for it."""
    names = read(good)
    places = set(range(0, len(good), max(1, len(good) // 150)))
    places |= set(range(good.index(b"PK\1\2"), len(good), 3))
    for name in names:
        at = good.index(name.encode())
        places |= set(range(at - 30, at + len(name) + 8, 5))
    for at in sorted(places):
        changed = bytearray(good)
        changed[at] ^= 1 << (at % 8)
        assert not found(bytes(changed), authority).good, f"byte {at}"


@pytest.mark.parametrize(
    "name",
    [
        "report.html",
        "raw/web1/audit-trail-auditd/daemon.txt",
        "audit/host-h1.jsonl",
        "csv/checks.csv",
    ],
)
def test_a_changed_file_is_named(name: str, good: bytes, authority: Authority) -> None:
    files = read(good)
    files[name] = files[name][:-2] + bytes([files[name][-2] ^ 1]) + files[name][-1:]
    verdict = found(zipped(files), authority)
    assert not verdict.good
    assert any(each.startswith(f"{name}: it was changed") for each in verdict.findings)


def test_a_missing_and_an_added_file_are_named(good: bytes, authority: Authority) -> None:
    files = read(good)
    del files["csv/checks.csv"]
    assert found(zipped(files), authority).findings == ["csv/checks.csv: it is missing"]
    files = {**read(good), "csv/more.csv": b"x"}
    assert found(zipped(files), authority).findings == ["csv/more.csv: it is not in the manifest"]


@pytest.mark.parametrize("name", ["manifest.json", "signature.json", "chain.pem", "report.html"])
def test_what_vouches_for_it_has_to_be_there(name: str, good: bytes, authority: Authority) -> None:
    files = read(good)
    del files[name]
    assert found(zipped(files), authority).findings == [f"{name}: it is missing"]


def test_a_whole_other_cluster_is_refused(tmp_path: Path, good: bytes, log: Log) -> None:
    """Who edits a pack can sign it with a cluster of his own, of the same names: the fingerprint says no."""
    other = packs.authority(tmp_path)
    verdict = found(good, other)
    assert not verdict.good
    assert "lead to the root" in verdict.findings[0]
    assert not verify(io.BytesIO(good), "").good


def test_a_host_may_not_sign(authority: Authority, log: Log) -> None:
    key = certificates.new_key()
    pem = authority.issue_host(certificates.new_request(key, "h").decode(), CLUSTER, "h1", BEGINS)
    host = Master(authority)
    host.key, host.chain = key, [*certificates.load_chain(pem, "h"), authority.root]
    verdict = found(packs.pack(packs.content(log), host), authority)
    assert "only masters sign packs" in verdict.findings[0]


def test_a_certificate_may_not_act_as_an_authority(
    authority: Authority, master: Master, log: Log
) -> None:
    """A master's key signs a certificate of another master that is not there."""
    forged = Master(authority)
    key = certificates.new_key()
    signer = replace(authority, chain=tuple(master.chain[:-1]), key=master.key)
    pem = signer.issue_master(key.public_key(), CLUSTER, "m9", ["m9"], BEGINS)
    forged.key, forged.chain = key, [*certificates.load_chain(pem, "m9"), authority.root]
    verdict = found(packs.pack(packs.content(log), forged), authority)
    assert "may not sign others" in verdict.findings[0]


@pytest.mark.parametrize("at", [BEGINS - 10 * DAY, BEGINS + 91 * DAY])
def test_certificates_have_to_have_been_good_when_it_was_signed(
    at: float, authority: Authority, master: Master, log: Log
) -> None:
    out = io.BytesIO()
    write(out, packs.content(log), lambda digest: master.sign(digest, at))
    assert "was not good when it was signed" in found(out.getvalue(), authority).findings[0]


@pytest.mark.parametrize(
    "change",
    [
        {"by": "mallory"},
        {"at": AT + 1},
        {"of": "c2"},
        {"algorithm": "none"},
        {"signature": ""},
        {"chain_sha256": "0" * 64},
    ],
)
def test_what_the_signature_says_is_signed(
    change: dict[str, Any], good: bytes, authority: Authority
) -> None:
    files = read(good)
    signature = from_wire(PackSignature, json.loads(files["signature.json"]))
    files["signature.json"] = canonical(to_wire(replace(signature, **change)))
    assert not found(zipped(files), authority).good


def test_a_signature_of_another_pack_is_refused(
    good: bytes, authority: Authority, master: Master, log: Log
) -> None:
    files, other = read(good), read(packs.pack(packs.content(log), master))
    files["signature.json"] = other["signature.json"]
    assert "of another manifest" in found(zipped(files), authority).findings[0]


# -- the records' own chain, by whoever may sign


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: [*lines[:5], *lines[6:]], "record 6 is missing"),
        (
            lambda lines: [*lines[:5], lines[5].replace(b"pass", b"fail"), *lines[6:]],
            "not those that its hash was made of",
        ),
        (lambda lines: [*lines[:5], b"{}\n", *lines[5:]], "no record of an audit log"),
    ],
)
def test_a_pack_whose_records_are_no_chain_is_refused(
    change: Any, words: str, authority: Authority, master: Master, log: Log
) -> None:
    """Also where a master signed it."""
    pack = packs.pack(packs.content(log, lines=change(log.lines)), master)
    verdict = found(pack, authority)
    assert any(
        each.startswith("audit/host-h1.jsonl: ") and words in each for each in verdict.findings
    )


def test_records_that_were_made_anew_are_not_those_that_masters_sealed(
    authority: Authority, master: Master, log: Log
) -> None:
    other = packs.log()
    other.act("mallory", "x", "y", BEGINS + DAY)
    rewritten = Log("host:h1")
    for number in range(1, len(log.lines) + 1):
        rewritten.act("mallory", "nothing", str(number), BEGINS + number)
    pack = packs.pack(packs.content(rewritten, vouched=packs.heads(log, 10)), master)
    assert any(
        "another one than m1 vouches for" in each for each in found(pack, authority).findings
    )


def test_a_part_that_begins_in_the_middle_is_vouched_for_by_a_later_head(
    authority: Authority, master: Master, log: Log
) -> None:
    pack = packs.pack(packs.content(log, vouched=packs.heads(log, 20), lines=log.lines[4:]), master)
    verdict = found(pack, authority)
    assert verdict.good
    assert verdict.notes == [
        "audit/host-h1.jsonl: records 21 to 26 are newer than what masters vouch for"
    ]


def test_without_heads_nobody_vouches_and_that_is_said(
    authority: Authority, master: Master, log: Log
) -> None:
    verdict = found(packs.pack(packs.content(log), master), authority)
    assert verdict.good
    assert verdict.notes == ["audit/host-h1.jsonl: no master vouches for any record of it"]


# -- the zip file


def test_a_file_that_is_twice_in_it_is_refused(good: bytes, authority: Authority) -> None:
    out = io.BytesIO(good)
    with zipfile.ZipFile(out, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr(ziplayout.member_info("report.html", packed=True), b"other")
    assert found(out.getvalue(), authority).findings == ["report.html is in it twice"]


@pytest.mark.parametrize(
    "name",
    ["../x", "/etc/passwd", "a/../../b", "a\\b", ".hidden", "a//b", "x" * 200, "ä", "a/", "con:"],
)
def test_a_name_out_of_the_folder_is_refused(name: str, good: bytes, authority: Authority) -> None:
    verdict = found(zipped({**read(good), name: b"x"}), authority)
    assert not verdict.good
    assert verdict.manifest is None


@pytest.mark.parametrize(
    "more",
    [{"comment": b"x"}, {"extra": b"\x01\x00\x01\x00x"}, {"date_time": (1999, 1, 1, 0, 0, 0)}, {"external_attr": 0o120777 << 16},
     {"create_system": 0}, {"compress_type": zipfile.ZIP_LZMA}],
)  # fmt: skip
def test_another_form_of_zip_file_is_refused(
    more: dict[str, Any], good: bytes, authority: Authority
) -> None:
    assert not found(zipped(read(good), **more), authority).good


@pytest.mark.parametrize("where", ["before", "between", "behind", "comment"])
def test_bytes_of_no_file_are_refused(where: str, good: bytes, authority: Authority) -> None:
    if where == "comment":
        out = io.BytesIO(good)
        with zipfile.ZipFile(out, "a") as archive:
            archive.comment = b"x"
        changed = out.getvalue()
    else:
        at = {"before": 0, "between": good.index(b"PK\1\2"), "behind": len(good)}[where]
        changed = good[:at] + b"x" + good[at:]
    assert not found(changed, authority).good


def test_a_file_that_would_grow_beyond_measure_is_refused(
    good: bytes, authority: Authority
) -> None:
    """One that says so, and one that lies."""
    big = zipped({**read(good), "csv/big.csv": b"\0" * (40 << 20)})
    assert found(big, authority).findings == ["csv/big.csv: it is not in the manifest"], (
        "it is not even read"
    )
    lie = bytearray(big)
    for sign, offset in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        at = lie.index(b"csv/big.csv", 0 if sign == b"PK\3\4" else lie.index(b"PK\1\2"))
        at -= 30 if sign == b"PK\3\4" else 46
        assert lie[at : at + 4] == sign
        lie[at + offset : at + offset + 4] = struct.pack("<I", (1 << 31) - 2)
    assert found(bytes(lie), authority).findings == [
        "csv/big.csv: it would be larger than a pack's files are"
    ]


@pytest.mark.parametrize("data", [b"", b"PK", b"x" * 1000, bytes(range(256)) * 2])
def test_what_is_no_pack_is_refused(data: bytes, authority: Authority) -> None:
    assert not found(data, authority).good


def test_content_never_gives_more_than_a_file_says_it_has(good: bytes) -> None:
    archive, members = ziplayout.opened(io.BytesIO(good))
    member = members["report.html"]
    with pytest.raises(Refused, match=r"report.html: it is longer"):
        list(ziplayout.content(archive, replace(member, size=5)))


# -- a host without a cluster


def test_a_host_without_a_cluster_signs_with_a_key_of_its_own(tmp_path: Path, log: Log) -> None:
    key, certificate = local_signer(tmp_path, "web1", BEGINS)
    again, same = local_signer(tmp_path, "web1", BEGINS + DAY)
    assert (same, again.private_numbers()) == (certificate, key.private_numbers())
    assert (tmp_path / "evidence.key").stat().st_mode & 0o777 == 0o600

    def sign(digest: str) -> PackSignature:
        return sign_pack(key, [certificate], digest=digest, of="web1", by="root", at=AT)

    out = io.BytesIO()
    write(out, packs.content(log), sign)
    verdict = verify(out, certificates.fingerprint(certificate))
    assert verdict.good
    assert verdict.signer == "CN=Hullmark evidence of web1"
    assert not verify(out, "0" * 64).good
