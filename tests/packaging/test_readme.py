"""The README's "Install by apt or yum", pasted as it stands: a repository from a new key, a master, and a host."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.hosts import Bed, Host
from tests.hosts.repository import Repositories
from tests.packaging.filespage import differences, on_host
from tests.packaging.products import products

CHECKOUT = Path(__file__).resolve().parents[2]
URL = "https://packages.example.net/hullmark"
MASTER_ADDRESS = "10.0.0.1"


def blocks() -> list[str]:
    section = (CHECKOUT / "README.md").read_text().partition("## Install by apt or yum")[2]
    return re.findall(r"```sh\n(.*?)```", section.partition("\n## ")[0], re.DOTALL)


MAKE, ADD_APT, ADD_YUM, ON_MASTER, ON_HOST = blocks()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As the README makes it, but with packages that are built already."""
    folder = tmp_path_factory.mktemp("shop")
    home = folder / "gnupg"
    home.mkdir(mode=0o700)
    environment = {**os.environ, "GNUPGHOME": str(home)}
    clone = folder / "clone"
    clone.mkdir()
    setup, *key, make = MAKE.splitlines()
    assert setup.startswith("make setup-packages ")
    assert make == "make repo KEY=../packages.key OUT=/srv/hullmark"
    out = folder / "srv"
    planned = subprocess.run(
        ["make", "--dry-run", *make.split()[1:]],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert 'packaging/repo.sh --key "../packages.key" --out "/srv/hullmark"' in planned.stdout
    packages = [*products().debs, *products().rpms]
    made = [str(CHECKOUT / "packaging" / "repo.sh"), "--key", "../packages.key", "--out", str(out)]
    try:
        subprocess.run(["bash", "-ec", "\n".join(key)], cwd=clone, env=environment, check=True)
        subprocess.run([*made, *map(str, packages)], cwd=clone, check=True, timeout=120)
    finally:
        subprocess.run(["gpgconf", "--kill", "all"], env=environment, check=True)
    return out


def test_the_lines_to_add_are_those_that_make_repo_writes(repository: Path) -> None:
    for block, file in ((ADD_APT, "apt/hullmark.sources"), (ADD_YUM, "yum/hullmark.repo")):
        lines = (repository / file).read_text().splitlines()
        written = "\n".join(line for line in lines if not line.startswith("#"))
        assert f"<<'END'\n{written}\nEND" in block


@pytest.mark.timeout(400)
def test_pasted(repository: Path) -> None:
    with Bed() as bed, contextlib.closing(Repositories()) as repositories:
        master, web1 = bed.host("m1", "bookworm"), bed.host("web1", "bookworm", engine="docker")
        assert URL in ADD_APT
        lines = ADD_APT.replace(URL, repositories.serve(repository))
        for host in (master, web1):
            host.put(repository / "apt" / "hullmark.asc", "/root/hullmark.asc")
            paste(host, lines)
        assert MASTER_ADDRESS in ON_MASTER
        paste(master, ON_MASTER.replace(MASTER_ADDRESS, master.address))
        web1.write("/root/web1.token", master.read("/root/web1.token"), mode=0o600)
        assert "/var/lib/hullmark/agent" in paste(web1, ON_HOST)
        assert not web1.path("/root/web1.token").exists()
        # Its exit code is that of what controls found on a stock host.
        master.run("hullmark status --wait 30s", check=False)
        assert " ready " in master.run("hullmark hosts").stdout
        for host in (master, web1):
            found = on_host(host)
            assert len(found) > 20
            assert differences(found) == []


def paste(host: Host, lines: str) -> str:
    """What the last of them printed."""
    return host.run(f"set -ex\ncd /root\n{lines}", timeout_s=200).stdout
