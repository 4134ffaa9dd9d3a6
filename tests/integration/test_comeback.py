"""A thousand agents lose their leader at one moment, and come back to the next one over real TLS, spread out."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import ssl
import time
from collections import Counter
from pathlib import Path

from hullmark.agentd.enrolment import Enrolment
from hullmark.agentd.masters import Masters
from hullmark.agentd.waits import Comeback
from hullmark.masterd.certificate import CERTIFICATE, KEY, ensure_certificate
from hullmark.pki.authority import ROOT_CERTIFICATE, create_authority
from hullmark.pki.tls import server_context

AGENTS = 1000
SPREAD_S = 3.3
"""What a leader tells so many hosts with the usual `lost_after`."""
LEADS_AFTER_S = 3.5
"""How long a standby takes to lead."""


@dataclasses.dataclass
class Listener:
    """A master's port that counts: one byte is a poll, and its answer says whether it leads."""

    leads: bool = False
    connected: list[float] = dataclasses.field(default_factory=list)
    served: list[float] = dataclasses.field(default_factory=list)
    asked: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connected.append(time.monotonic())
        try:
            while await reader.read(1):
                self.asked += 1
                if self.leads:
                    self.served.append(time.monotonic())
                writer.write(b"y" if self.leads else b"n")
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()


async def agent(folder: Path, port: int, context: ssl.SSLContext, number: int) -> float:
    """From the loss of m1 until m2 leads and has answered; what is waited is what the agent's own parts say."""
    m1, m2 = "https://127.0.0.1:1", f"https://127.0.0.1:{port}"
    enrolled = Enrolment("c1", f"h{number}", "box", (m1, m2), 0.0, 1e12)
    masters = Masters(folder, (), lambda: enrolled)
    comeback = Comeback(random.Random(number).random)
    comeback.found(SPREAD_S)
    began, line = time.monotonic(), None
    while True:
        master, named = masters.current(), False
        if master == m1:
            masters.leave(m1, silent=True)
        else:
            if line is None:
                line = await asyncio.open_connection("127.0.0.1", port, ssl=context)
            line[1].write(b"p")
            if await line[0].readexactly(1) == b"y":
                line[1].close()
                return time.monotonic() - began
            named = masters.follow(master, m1)
        await asyncio.sleep(comeback.lost(several=True, named=named))


async def come_back(folder: Path) -> tuple[Listener, list[float], float]:
    authority = create_authority(folder, "c1", time.time())
    ensure_certificate(folder, authority, "c1", "m2", ["127.0.0.1"], time.time())
    listener = Listener()
    context = server_context(folder / CERTIFICATE, folder / KEY, None)
    server = await asyncio.start_server(
        listener.serve, "127.0.0.1", 0, ssl=context, backlog=2 * AGENTS
    )
    port = server.sockets[0].getsockname()[1]
    own = ssl.create_default_context(cafile=str(folder / ROOT_CERTIFICATE))
    began = time.monotonic()
    agents = [asyncio.ensure_future(agent(folder, port, own, each)) for each in range(AGENTS)]
    await asyncio.sleep(LEADS_AFTER_S)
    listener.leads = True
    took = await asyncio.wait_for(asyncio.gather(*agents), 60)
    server.close()
    await server.wait_closed()
    return listener, list(took), began


def most_in_a_second(times: list[float], began: float) -> int:
    """Of the windows of one second that begin at each tenth of one."""
    tenths = Counter(int((at - began) * 10) for at in times)
    return max(sum(tenths[first + one] for one in range(10)) for first in tenths)


def test_a_thousand_agents_come_back_spread_out(tmp_path: Path) -> None:
    listener, took, began = asyncio.run(come_back(tmp_path))
    busiest = most_in_a_second(listener.connected, began)
    served = most_in_a_second(listener.served, began)
    print(
        f"{AGENTS} agents: at most {busiest} connections a second, {served} served a second, "
        f"{listener.asked} questions in all, the last back after {max(took):.2f} s"
    )
    assert len(listener.connected) == AGENTS, "each keeps its connection while nobody leads"
    assert busiest < 0.6 * AGENTS, "at once it would be all of them"
    assert listener.asked < 8 * AGENTS
    assert max(took) < LEADS_AFTER_S + 6.0, "well before a new leader takes a host for lost"
