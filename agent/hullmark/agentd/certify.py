"""Keys and certificates of a host and of its proxy: the only module of the agent that imports the heavy library for them.

The daemon never imports it: enrolling and renewing are processes of their own.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Protocol

from hullmark.agentd import enrolment, keptfile, proxyfiles
from hullmark.agentd.enrolment import SET_CLOCK, Enrolment
from hullmark.agentd.proxyfiles import ProxyRecord
from hullmark.errors import BrokenState, NotFound, Refused
from hullmark.model.protocol import PROXY, RENEW_PATH, RenewAnswer, RenewRequest
from hullmark.pki import certificates
from hullmark.pki.certificates import Identity
from hullmark.pki.files import write_document, write_file, write_private

RENEW_TIMEOUT_S = 20.0
LAST_S = 3600.0
"""With so little of its life left a certificate is given up even for one that is not valid by this host's clock."""
PENDING_KEY = "pending.key"
"""A new key until its certificate is here: a repeated request is for the same key."""


class Caller(Protocol):
    """`link.Link`, as far as a renewal needs it."""

    def call(
        self, path: str, body: Any, answer: type[RenewAnswer], timeout_s: float
    ) -> tuple[RenewAnswer, float]: ...


def request_with(key_file: Path, name: str) -> str:
    """A signing request, PEM, for the key in this file; made there, mode 0600, where there is none that can be used.
    Raises OSError."""
    try:
        key = certificates.load_key(key_file)
    except (NotFound, BrokenState):
        key = certificates.new_key()
        write_private(key_file, certificates.key_pem(key))
    return certificates.new_request(key, name).decode()


def check(chain_pem: str, root_pem: str, key_file: Path, identity: Identity) -> tuple[float, float]:
    """The certificate's validity. Raises BrokenState unless it is for this key and host and leads to the root."""
    chain = certificates.load_chain(chain_pem.encode(), "the master's answer")
    root = certificates.load_chain(root_pem.encode(), "the master's answer")[0]
    own = certificates.load_key(key_file).public_key().public_numbers()
    if getattr(chain[0].public_key(), "public_numbers", lambda: None)() != own:
        raise BrokenState("the master's answer: the certificate is for another key")
    if certificates.identity_of(chain[0]) != identity:
        raise BrokenState(f"the master's answer: the certificate is not for {identity.uri}")
    for certificate, issuer in zip(chain, [*chain[1:], root]):
        if not certificates.is_issued_by(certificate, issuer):
            raise BrokenState("the master's answer: the certificate does not lead to the root")
    return certificates.validity(chain[0])


def check_by_clock(new: tuple[float, float], current_until: float, now: float) -> None:
    """Raises BrokenState for a certificate that is not valid by this host's clock, while the present one is: with the new one the host, or its proxy,
    would be refused until it begins, and nothing could be asked for with it meanwhile. Two clocks differ, and this host can't know which is wrong."""
    first, last = new
    if first <= now <= last or current_until - now < LAST_S:
        return
    side = "behind the master's" if now < first else "ahead of the master's"
    raise BrokenState(
        f"the new one is not valid by this host's clock, which is {side}; the present one is kept",
        remedy=SET_CLOCK,
    )


def renew(folder: Path, link: Caller, wall: Callable[[], float] = time.time) -> Enrolment:
    """Take a new key and certificate into use. Raises what `Link.call` does, BrokenState for a wrong answer, Refused
    where the files can't be written; the pair in use is then as before."""
    current = enrolment.load(folder)
    pending = folder / PENDING_KEY
    try:
        csr_pem = request_with(pending, current.host_id)
        answer, _ = link.call(RENEW_PATH, RenewRequest(csr_pem), RenewAnswer, RENEW_TIMEOUT_S)
        identity = Identity(current.cluster_id, "host", current.host_id)
        first, last = check(answer.chain_pem, answer.root_pem, pending, identity)
        check_by_clock((first, last), current.valid_until, wall())
        renewed = replace(current, valid_from=first, valid_until=last, pair=next_pair(current.pair))
        install(folder, renewed, answer.chain_pem, answer.root_pem)
    except OSError as error:
        raise Refused(
            f"{error.filename or folder}: {error.strerror}", remedy=f"free space: df {folder}"
        ) from error
    return renewed


def renew_proxy(
    folder: Path, proxy_folder: Path, link: Caller, wall: Callable[[], float] = time.time
) -> ProxyRecord:
    """The same for the host's proxy, whose files are in a folder of its own. A key that was used already is never used again."""
    current = enrolment.load(folder)
    pending = folder / proxyfiles.PENDING_KEY
    try:
        request = RenewRequest(request_with(pending, current.host_id), PROXY)
        answer, _ = link.call(RENEW_PATH, request, RenewAnswer, RENEW_TIMEOUT_S)
        identity = Identity(current.cluster_id, PROXY, current.host_id)
        first, last = check(answer.chain_pem, answer.root_pem, pending, identity)
        now = wall()
        check_by_clock((first, last), _proxy_until(folder, proxy_folder, current, now), now)
        write_private(proxy_folder / proxyfiles.ROOT, answer.root_pem.encode())
        content = answer.chain_pem.encode() + pending.read_bytes()
        write_private(proxy_folder / proxyfiles.CERTIFICATE, content)
        written = proxyfiles.fingerprint(proxy_folder)
        record = ProxyRecord(current.cluster_id, current.host_id, first, last, written)
        write_document(folder / proxyfiles.RECORD, record)
        pending.unlink(missing_ok=True)
    except OSError as error:
        raise Refused(
            f"{error.filename or proxy_folder}: {error.strerror}",
            remedy=f"free space: df {folder} {proxy_folder}",
        ) from error
    return record


def _proxy_until(folder: Path, proxy_folder: Path, current: Enrolment, now: float) -> float:
    """Until when the proxy's present certificate is valid; 0 where there is none, or it is not valid yet."""
    record = keptfile.read_kept(ProxyRecord, folder / proxyfiles.RECORD)
    if record is None or now < record.valid_from:
        return 0.0
    is_there = record.of(current.cluster_id, current.host_id, proxy_folder)
    return record.valid_until if is_there else 0.0


def install(folder: Path, enrolled: Enrolment, chain_pem: str, root_pem: str) -> None:
    """Write key (from PENDING_KEY), certificate and root, then the record, then clear what it no longer names.
    Raises OSError; until the record is written all is as before, but for a root that was renewed by the same master."""
    key = (folder / PENDING_KEY).read_bytes()
    write_private(folder / enrolled.key_name, key)
    write_file(folder / enrolled.certificate_name, chain_pem.encode())
    if not _same(folder / enrolment.ROOT, root_pem):
        write_file(folder / enrolment.ROOT, root_pem.encode())
    enrolment.save(folder, enrolled)
    for path in folder.glob(f"{enrolment.FIRST_PAIR}*"):
        if path.suffix in (".key", ".pem") and path.stem != enrolled.pair:
            path.unlink(missing_ok=True)
    (folder / PENDING_KEY).unlink(missing_ok=True)


def next_pair(pair: str) -> str:
    """`host`, `host-2`, `host-3`, ..."""
    number = pair.rpartition("-")[2]
    return f"{enrolment.FIRST_PAIR}-{int(number) + 1 if number.isdecimal() else 2}"


def _same(path: Path, text: str) -> bool:
    try:
        return path.read_bytes() == text.encode()
    except OSError:
        return False
