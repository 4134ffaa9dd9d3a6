"""`hullmark master invite` and `hullmark master join`: another master of the cluster."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn, Optional

import click

from hullmark.cli import door, secretfile, show
from hullmark.cli.client import new_request_id
from hullmark.cli.daemon import MASTER_FILE, become
from hullmark.cli.options import Asked, issuing, ticket
from hullmark.cli.target import host_name
from hullmark.cli.words import dated, duration
from hullmark.model.peers import MasterInviteAnswer, MasterInviteRequest
from hullmark.model.wire import to_wire

PATH = "/v1/master-invites"


@click.command(
    name="invite",
    short_help="Make a token with which another master joins.",
    epilog="""\b
Example:
  hullmark master invite m2 --token-file /root/m2.token
""",
)
@click.argument("name")
@click.option(
    "--valid", default="1h", show_default=True, metavar="DURATION", help="How long it can be used."
)
@ticket
@issuing
def invite(asked: Asked, name: str, file: Optional[str], valid: str, ticket: str) -> None:
    """Make a token with which the master NAME joins the cluster, once. The root's key has to be on the leader."""
    life_s = duration(valid, "--valid")
    request = MasterInviteRequest(host_name(name), life_s, new_request_id(), ticket)
    path = Path(file) if file else None
    if path is not None:
        secretfile.check_free(path)
    client = door.client(asked)
    answer = client.decoded(MasterInviteAnswer, client.change("POST", PATH, to_wire(request)))
    if path is not None:
        secretfile.write(path, answer.token)
    if asked.json:
        hidden = {"token": "" if file else answer.token, "token_file": file or ""}
        show.document("master-invite", answer, changed=True, **hidden)
        return
    until = dated(answer.expires_at)
    if file:
        show.lines(
            f"{answer.name}  invited until {until}; token in {file}",
            f"next      copy it to {answer.name}, then there: hullmark master join --token-file FILE",
        )
        return
    show.lines(
        f"{answer.name}  invited until {until}. On {answer.name}, as root:",
        "",
        "  (umask 077; cat > token)     # then paste this, and Ctrl-D:",
        answer.token,
        "  hullmark master join --token-file token && rm token",
    )


@click.command(
    name="join",
    short_help="Be another master of a cluster.",
    epilog="""\b
Example:
  hullmark master join --token-file /root/m2.token --address 10.0.0.2
  hullmark master join https://10.0.0.1:7442 --token-file /root/m2.token
  hullmark master join --root-key root.key --root-cert root.pem
""",
)
@click.argument("url", required=False, metavar="[URL]")
@click.option(
    "--config", metavar="FILE", default=MASTER_FILE, show_default=True, help="Its configuration."
)
@click.option("--token-file", metavar="FILE", help="The invite's token; - for standard input.")
@click.option("--ca-sha256", metavar="FP", help="What the root's fingerprint has to be.")
@click.option(
    "--address",
    "addresses",
    multiple=True,
    metavar="A",
    help="A name or address by which agents and people reach this master.",
)
@click.option(
    "--root-key", metavar="FILE", help="The root's key, brought along: no leader is asked."
)
@click.option("--root-cert", metavar="FILE", help="The root's certificate, with --root-key.")
@click.option(
    "--ca-chain", metavar="FILE", help="The shop's own intermediate for this master, its root last."
)
@click.option("--ca-key", metavar="FILE", help="The intermediate's key.")
@click.option("--no-start", is_flag=True, help="Leave the installed service as it is.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Form of the answer.",
)
def join(
    url: Optional[str],
    config: str,
    addresses: tuple[str, ...],
    no_start: bool,
    output: str,
    **files: Optional[str],
) -> NoReturn:
    """Be another master of the cluster that the configured etcd holds. May be repeated.

    It makes an authority of its own, which the leader signs with the root's key. Where the master was installed as
    a service, that is started. As root it acts as the owner of the state folder.
    """
    arguments = ["join", "--config", config, "--output", output]
    if url:
        arguments.append(url)
    if no_start:
        arguments.append("--no-start")
    for address in addresses:
        arguments += ["--address", address]
    for name, value in files.items():
        if value is not None:
            arguments += [f"--{name.replace('_', '-')}", value]
    become("masterd", arguments)
