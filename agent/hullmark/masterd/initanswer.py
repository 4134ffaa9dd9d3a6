"""What `master init` tells: for people, and as a document."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Optional

from hullmark.config import MasterConfig
from hullmark.errors import Refused
from hullmark.host.service import Service
from hullmark.launchers import start_command
from hullmark.masterd.init import Made


@dataclass(frozen=True)
class Result:
    """`ports`: the configuration with what the master will listen on. `trouble`: why its service was not started."""

    made: Made
    config: MasterConfig
    ports: MasterConfig
    service: Service
    trouble: Optional[Refused]
    config_file: str

    def document(self) -> dict[str, Any]:
        made = self.made
        return {
            "schema": "hullmark.master-init/1",
            "changed": made.new or self.service is Service.STARTED,
            "cluster_id": made.cluster_id,
            "state_dir": self.config.state_dir,
            "root_sha256": made.root_fingerprint,
            "addresses": list(made.addresses),
            "ignored": list(made.ignored),
            "agents_listen": self.ports.agents_listen,
            "api_listen": self.ports.api_listen,
            "root_key": None if made.root_key is None else str(made.root_key),
            "service": "failed" if self.trouble else self.service.value,
        }

    def text(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        made, ports = self.made, self.ports
        yield "made" if made.new else "there already: nothing was changed"
        yield f"  cluster       {made.cluster_id}"
        yield f"  state folder  {self.config.state_dir}"
        yield f"  root (SHA256) {made.root_fingerprint}"
        yield f"  addresses     {', '.join(made.addresses) or 'none'}"
        yield f"  listens on    {ports.agents_listen} (agents.listen), {ports.api_listen} (api.listen)"
        for address in made.ignored:
            yield (
                f"note: {address} was not added. To add it, put it under `addresses` in {self.config_file} "
                "and restart the master: its certificate is then made anew at once"
            )
        if ports != self.config:
            yield (
                "note: its addresses are loopback only, so only this machine reaches it; "
                f"for others set `addresses` in {self.config_file}, or the keys named above"
            )
        if made.new and made.root_key is not None:
            yield (
                f"note: move {made.root_key} to a safe place; only another master's joining needs it"
            )
        if self.service is Service.STARTED:
            yield "its service is started; next: hullmark invite HOST"
        elif self.service is Service.RUNNING:
            yield "its service runs; next: hullmark invite HOST"
        else:
            yield f"next: start the master: {start_command('masterd')}; then: hullmark invite HOST"
