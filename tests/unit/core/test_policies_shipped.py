"""The policy for hosts that are assessed against PCI DSS: what it lets run, and what not."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import hullmark
from hullmark.compose import load
from hullmark.config import load_policy
from hullmark.core import judging
from hullmark.model.app import Attachment, Mount, MountKind, Network, Secret, bundle
from hullmark.model.policy import RULES, Policy
from tests.unit.core.policyworld import BUNDLE, DIGEST, ENGINES, GOOD, body, sights

FILE = Path(hullmark.__file__).parents[2] / "conf/policies/pci.yaml"
FITTING = replace(
    GOOD,
    mounts=(
        Mount(MountKind.BIND, "/etc/ssl/certs", "/etc/ssl/certs", read_only=True),
        Mount(MountKind.VOLUME, "/data", "data"),
        Mount(MountKind.TMPFS, "/tmp"),
    ),
    secrets=(),
    devices=(),
    annotations={},
    networks=(Attachment("default"),),
)
LEFT_TO_THE_SHOP = {
    *("images.from", "ports.published", "ports.addresses", "ports.approved"),
    "services.from",
    *("limits.memory", "limits.memory_swap", "limits.shm", "limits.cpus", "limits.pids"),
    "limits.ulimits",
}


@pytest.fixture(scope="module")
def pci() -> Policy:
    return load_policy(str(FILE))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_hardened_container_passes(pci: Policy, engine: str) -> None:
    made = body(FITTING, engine, bundle=replace(BUNDLE, networks={"default": Network()}))
    assert judging.judge_creation(made, sights(made, engine), pci) == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"privileged": True},
        {"pid": "host"},
        {"cap_add": ("SYS_PTRACE",)},
        {"cap_drop": ()},
        {"devices": ("/dev/fuse",)},
        {"mounts": (Mount(MountKind.BIND, "/x", "/var/run/docker.sock"),)},
        {"mounts": (Mount(MountKind.BIND, "/x", "/srv", read_only=True),)},
        {"digest": ""},
        {"user": ""},
        {"user": "app"},
        {"read_only": False},
        {"security_opt": ()},
        {"limits": replace(GOOD.limits, memory_bytes=0)},
        {"oom_score_adj": -900},
        {"logging": replace(GOOD.logging, driver="syslog")},
    ],
    ids=str,
)
def test_anything_less_is_refused(pci: Policy, changes: dict[str, Any]) -> None:
    made = body(replace(FITTING, **changes))
    found = judging.judge_creation(made, sights(made, image=None), pci)
    assert found
    assert all(
        violation.file.endswith("pci.yaml") for violation in found if violation.rule != "request"
    )


def test_it_says_all_but_what_nobody_else_can_know(pci: Policy) -> None:
    assert set(RULES) - set(pci.given) == LEFT_TO_THE_SHOP


def test_each_group_of_rules_names_requirements() -> None:
    blocks = [block for block in FILE.read_text().split("\n\n") if not block.startswith("# --")]
    rules = [block for block in blocks if re.search(r"^[a-z_]+:", block, re.MULTILINE)]
    for block in rules[2:]:
        assert re.match(r"# (\d+\.\d+(\.\d+)*)", block), block


def test_its_closing_example_is_a_policy_too(tmp_path: Path) -> None:
    lines = FILE.read_text().partition("can know it:")[2].splitlines()[2:]
    site = tmp_path / "50-site.yaml"
    site.write_text("\n".join(line.removeprefix("# ") for line in lines) + "\n")
    assert load_policy(str(site)).scope == "cde"


def test_secrets_are_mounts_of_the_host(pci: Policy) -> None:
    cut = replace(BUNDLE, secrets={"key": Secret("/etc/shadow")}, networks={"default": Network()})
    made = body(replace(FITTING, secrets=GOOD.secrets), bundle=cut)
    found = judging.judge_creation(made, sights(made), pci)
    assert [violation.rule for violation in found] == ["mounts.read"]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_service_of_the_page_fits_it(pci: Policy, tmp_path: Path, engine: str) -> None:
    page = (FILE.parents[2] / "docs/operations/policy.md").read_text()
    (text,) = re.findall(r"```yaml\n(services:.*?)```", page, re.DOTALL)
    file = tmp_path / "compose.yaml"
    file.write_text(text)
    app = load([str(file)], project_name="shop", environment={}).app
    cut = bundle(app, "api")
    spec = replace(cut.container, digest=DIGEST)
    made = body(spec, engine, (), replace(cut, service="web"))
    assert judging.judge_creation(made, sights(made, engine), pci) == ()
