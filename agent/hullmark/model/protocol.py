"""The protocol between an agent and the leader, over mutual TLS; the agent always calls.

    agent                                     leader
      POST /agent/v1/poll    {knows}      ->    held for up to hold_s, or until the host's orders or
                             {PollAnswer} <-    tasks differ from what the agent knows. The heartbeat.
      POST /agent/v1/orders  {}           ->    short, never held. An answer that comes more than one
                             {OrdersAnswer}<-   lease after its request was sent is dropped unread.
      POST /agent/v1/directory {}         ->    what the host needs to know of the cluster's services: see `directory`
                             {DirectoryAnswer}<-
      POST /agent/v1/report  {Report}     ->    changes of the observed state, or all of it
                             {ReportAnswer}<-   `resend` when the digests differ
      POST /agent/v1/tasks/ID  chunks     ->    the answer to a task, streamed as JSON lines: LogRecords
                                                for `logs`, one ResolveAnswer for `resolve`, one
                                                PolicyAnswer for `judge`, one Traffic for `traffic`, ExecRecords
                                                for `exec`. The leader closes the connection when nobody listens
                                                any more.
      POST /agent/v1/endpoints {digest}   ->    asked by hosts that keep files for load balancers
                          {EndpointsAnswer}<-   where published ports answer: see `services`
      POST /agent/v1/audit   {Shipment}   ->    records of the host's audit log, in order, as they stand in the file
                             {Received}   <-    how far the leader has them on its disk
      POST /agent/v1/heads   {HeadOffer}  ->    to each master, also one that stands by
                             {HeadAnswer} <-    its seal, and what shows that its file of heads only grew
      POST /agent/v1/receipts {ReceiptsRequest} -> canaries of other hosts that this one found in what it receives,
                        {ReceiptsAnswer} <- and which of its own were found elsewhere
      POST /agent/v1/renew   {csr}        ->    a new certificate for the same host and a new key, asked for
                             {chain}      <-    when a third of the old one's life is left

The host is known by its certificate, never by the body. A standby answers 421 with `NotLeader`.

A worked sequence: the agent knows revision 7 and polls. A person applies an app; the leader commits
revision 8 and answers the poll at once. The agent asks for orders, gets revision 8 of epoch 1.4, writes
both to disk, then acts. Each phase that an instance enters goes out in a report; the poll goes on beside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from hullmark.model.audit import Seal, SignedHead
from hullmark.model.epoch import NO_EPOCH, Epoch
from hullmark.model.incarnation import IncarnationProof
from hullmark.model.orders import Orders, Task

POLL_PATH = "/agent/v1/poll"
ORDERS_PATH = "/agent/v1/orders"
DIRECTORY_PATH = "/agent/v1/directory"
REPORT_PATH = "/agent/v1/report"
TASKS_PATH = "/agent/v1/tasks/"
AUDIT_PATH = "/agent/v1/audit"
HEADS_PATH = "/agent/v1/heads"
RECEIPTS_PATH = "/agent/v1/receipts"
RENEW_PATH = "/agent/v1/renew"

AGENT, PROXY = "agent", "proxy"
"""What a certificate is for: to speak for the host to masters, or for its proxy to others' proxies."""


@dataclass(frozen=True)
class PollRequest:
    """What the agent holds already. `run` names one life of its process. `hold_s` is how long
    it will wait, at most `MAX_HOLD_S`. `directory` is the digest of the directory that it has accepted, empty for none; None where it
    takes no directories, as an agent that only observes, or is older than they are."""

    run: str
    epoch: Epoch = NO_EPOCH
    revision: int = 0
    tasks_seen: int = 0
    hold_s: float = 4.0
    directory: Optional[str] = None


@dataclass(frozen=True)
class Former:
    """What the leader's store says of the epoch that an agent named: who led in it, and the revision at which
    the next term began."""

    leader: str
    until: int


@dataclass(frozen=True)
class PollAnswer:
    """`former` is of the epoch in the request, where that is an earlier one. `changed`: ask for orders now. `resend`:
    send a full report (new leader, or it lost count). `tasks` are new since `tasks_seen`, which the agent then sets to
    `tasks_last`. `now` is the leader's wall clock, from which the agent tells a wrong clock.

    `masters` are the agents' URLs of all masters, the preferred ones first; empty where the leader is older than this field.
    `spread_s`: where the leader is lost, wait a random part of this before the first call to another, so that a
    large fleet comes back spread out. `proof` is that of the epoch's incarnation, where the agent named a lower one.
    `directory_changed`: ask for the directory now; never true while the leader does not know how all hosts stand."""

    epoch: Epoch
    leader: str
    now: float
    changed: bool = False
    resend: bool = False
    tasks: tuple[Task, ...] = ()
    tasks_last: int = 0
    former: Optional[Former] = None
    masters: tuple[str, ...] = ()
    spread_s: float = 0.0
    proof: Optional[IncarnationProof] = None
    directory_changed: bool = False


@dataclass(frozen=True)
class OrdersAnswer:
    """`lease_s`: how long after its request was sent an answer may still be acted on."""

    orders: Orders
    lease_s: float = 10.0


@dataclass(frozen=True)
class ReportAnswer:
    """Who took the report: events given to a leader that has passed are sent again to the next one.
    `resend`: the leader's picture differs; send it whole."""

    epoch: Epoch
    leader: str
    resend: bool = False


@dataclass(frozen=True)
class ResolveAnswer:
    """The one line that answers a `resolve` task. `error` set: it can't be had, and why; otherwise `digest`
    is `sha256:...`, or empty for a local image without one. `note` says where the answer comes from. `exposed`: the image's own
    ports (`80/tcp`)."""

    digest: str = ""
    local_id: str = ""
    note: str = ""
    error: str = ""
    remedy: str = ""
    exposed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shipment:
    """Lines of a log without their newlines, the first of them with sequence number `first`. None: only asked how far
    the leader has them."""

    log: str
    first: int = 0
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Received:
    """`cursor`: the sequence number of the last record that the leader has on its disk, 0 for none; the next shipment
    begins after it. `why`: why the shipment was not taken, empty where it was."""

    cursor: int
    why: str = ""


@dataclass(frozen=True)
class HeadOffer:
    """`knows` and `knows_link`: the newest entry of this master's file of heads that the host has seen; 0 for none."""

    signed: SignedHead
    knows: int = 0
    knows_link: str = ""


@dataclass(frozen=True)
class HeadAnswer:
    """`links`: the digests of the entries after the one that the host knew, up to the seal's, from which it works out
    the seal's link itself; cut short where there are very many (then there is no seal yet, and the host asks on).
    `why`: why the head was not taken, empty where it was."""

    seal: Optional[Seal] = None
    links: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True)
class RenewRequest:
    """`csr_pem` is a signing request for a new key, which stays on the host. `purpose` is `agent`, or `proxy` for the certificate that the host's
    proxy shows other hosts' proxies: it says `hullmark://CLUSTER/proxy/HOST_ID`, and no master takes it for an agent's."""

    csr_pem: str
    purpose: str = AGENT


@dataclass(frozen=True)
class RenewAnswer:
    """The host's new certificate, then the intermediate, PEM; the root as it is now."""

    chain_pem: str
    root_pem: str


@dataclass(frozen=True)
class NotLeader:
    """A standby's answer: where the leader is, empty if it doesn't know."""

    leader: str = ""
    address: str = ""


MAX_HOLD_S = 10.0
"""Longest hold of a poll, so that a proxy or firewall with short idle times doesn't cut it."""
