"""What apt, unattended-upgrades and dnf-automatic leave and print."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from hullmark.core.checks import JUDGES, Seen
from hullmark.model.checkkinds import KINDS
from hullmark.model.control import Finding, Reading, Status, Trouble
from tests.unit.core.checks.looks import (
    DAY,
    HOUR,
    NOW,
    judged,
    looks_of,
    missing,
    program,
    reading,
)
from tests.unit.core.checks.looks import given as given_to

PERIODIC = """\
APT::Periodic "";
APT::Periodic::Update-Package-Lists "1";
APT::Periodic::Unattended-Upgrade "1";
"""
ORIGINS = """\
Unattended-Upgrade "";
Unattended-Upgrade::Origins-Pattern "";
Unattended-Upgrade::Origins-Pattern:: "origin=Debian,codename=${distro_codename},label=Debian";
Unattended-Upgrade::Origins-Pattern:: "origin=Debian,codename=${distro_codename}-security,label=Debian-Security";
"""
UBUNTU = """\
Unattended-Upgrade "";
Unattended-Upgrade::Allowed-Origins "";
Unattended-Upgrade::Allowed-Origins:: "${distro_id}:${distro_codename}-security";
Unattended-Upgrade::DevRelease "auto";
"""
USUAL = """\
Inst base-files [12.4+deb12u11] (12.4+deb12u15 Debian:12.15/oldstable [amd64])
Conf base-files (12.4+deb12u15 Debian:12.15/oldstable [amd64])
Inst libpam-modules-bin [1.5.2-6+deb12u1] (1.5.2-6+deb12u2 Debian:12.15/oldstable [amd64]) [libpam-modules:amd64 ]
"""
SECURITY = """\
Inst openssl [3.0.15-1] (3.0.17-1 Debian:12.15/oldstable, Debian-Security:12/oldstable-security [amd64])
Inst libxml2 [2.9.14] (2.9.14+ds1 Ubuntu:22.04/jammy-security [amd64])
Inst linux-image-6.1.0-40 (6.1.150 Debian-Security:12/oldstable-security [amd64])
"""


def unattended(periodic: str = PERIODIC, origins: str = ORIGINS, code: int = 0) -> Finding:
    return judged(
        "updates.unattended",
        program(),
        reading("periodic", periodic, code=code),
        reading("origins", origins, code=code),
    )


def test_it_is_told_to_update() -> None:
    assert unattended() == Finding(Status.PASS, 0)
    assert unattended(origins=UBUNTU).status is Status.PASS
    assert unattended(PERIODIC.replace('"1"', '"7d"')).status is Status.PASS


@pytest.mark.parametrize(
    ("periodic", "origins", "reason"),
    [
        ("", ORIGINS, "APT::Periodic::Unattended-Upgrade is off or not set"),
        (
            PERIODIC.replace('Upgrade "1"', 'Upgrade "0"'),
            ORIGINS,
            "APT::Periodic::Unattended-Upgrade is off or not set",
        ),
        (
            PERIODIC.replace('Lists "1"', 'Lists "0"'),
            ORIGINS,
            "APT::Periodic::Update-Package-Lists is off or not set",
        ),
        (
            PERIODIC + 'APT::Periodic::Enable "0";\n',
            ORIGINS,
            "apt's periodic work is switched off: APT::Periodic::Enable",
        ),
        (PERIODIC, "", "unattended-upgrades is told of no origin: it installs nothing"),
        (
            PERIODIC,
            'Unattended-Upgrade "";\nUnattended-Upgrade::Origins-Pattern "";\n',
            "unattended-upgrades is told of no origin: it installs nothing",
        ),
    ],
)
def test_it_is_told_not_to(periodic, origins, reason) -> None:
    found = unattended(periodic, origins)
    assert (found.status, found.reason) == (Status.FAIL, reason)


def test_a_configuration_that_nobody_knows() -> None:
    assert unattended("hello").status is Status.ERROR
    assert unattended(origins="hello").status is Status.ERROR
    assert unattended(code=100).status is Status.ERROR
    absent = missing("periodic")
    assert judged("updates.unattended", program(), absent).status is Status.ERROR


def fetched(age_s: float = HOUR) -> Reading:
    return reading("fetched /var/lib/apt/lists/partial", mtime=NOW - age_s)


def stamp(age_s: float) -> Reading:
    return reading("stamp", mtime=NOW - age_s)


def last_run(*readings: Reading) -> Finding:
    return judged("updates.last_run", program(), *readings)


def test_it_ran() -> None:
    found = last_run(stamp(DAY), missing("fetched /x"), fetched())
    assert found == Finding(Status.PASS, 2, "ran 24 h ago")


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (last_run(missing("stamp"), fetched()), Status.FAIL),
        (last_run(stamp(4 * DAY), fetched()), Status.FAIL),
        (last_run(stamp(DAY), fetched(4 * DAY)), Status.FAIL),
        (last_run(stamp(DAY), missing("fetched /x")), Status.ERROR),
        (last_run(reading("stamp", mtime="x"), fetched()), Status.ERROR),
        (last_run(stamp(-DAY), fetched()), Status.ERROR),
    ],
)
def test_it_did_not_run(found, status) -> None:
    assert found.status is status


def pending(
    upgrade: str,
    *,
    ran: float = 2 * HOUR,
    listed: float = HOUR,
    changed: float = DAY,
    security: str = "/var/lib/apt/lists/x-security_InRelease",
    lists_age: float = HOUR,
    code: int = 0,
    source: str = "security",
    **more: Any,
) -> Finding:
    return judged(
        "updates.pending",
        program(),
        stamp(ran),
        reading("lists", mtime=NOW - listed),
        reading("packages", mtime=NOW - changed),
        fetched(lists_age),
        reading("security", security),
        reading("upgrade", upgrade, code=code, **more),
        source=source,
    )


def test_none_is_pending() -> None:
    assert pending("") == Finding(Status.PASS, 2, "none is pending")
    assert pending(USUAL).status is Status.PASS


def test_some_have_just_come() -> None:
    """unattended-upgrades has not run since."""
    found = pending(USUAL + SECURITY)
    assert (found.status, found.reason) == (
        Status.PASS,
        "2 security updates are pending (openssl, libxml2)",
    )


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (pending(SECURITY, ran=HOUR / 2), "and unattended-upgrades has left them behind"),
        (pending(SECURITY, changed=31 * DAY), "and no package has changed for 31 d"),
        (pending("", lists_age=4 * DAY), "the list of packages is 4 d old"),
        (pending("", security=""), "apt has no list of an archive that is called security"),
    ],
)
def test_some_are_left(found, reason) -> None:
    assert (found.status, reason in found.reason) == (Status.FAIL, True)


@pytest.mark.parametrize(
    "found",
    [
        pending("E: The package cache was built for different architectures", code=100),
        pending("", code=100),
        pending("hello"),
        pending("", trouble=Trouble.TIMED_OUT),
        judged("updates.pending", program(), fetched(), reading("security", "x")),
        judged(
            "updates.pending",
            program(),
            fetched(),
            reading("security", "x"),
            reading("upgrade", SECURITY, code=0),
        ),
    ],
)
def test_what_is_pending_can_not_be_told(found) -> None:
    assert found.status is Status.ERROR


def test_an_archive_of_another_name() -> None:
    ours = "Inst openssl [3.0.15-1] (3.0.17-1 Corp-Prod:12/prod [amd64])\n"
    assert pending(ours).reason == "none is pending"
    assert "1 security updates" in pending(ours, source="corp-prod").reason


def test_more_than_is_read() -> None:
    text = (USUAL * 400)[: 64 << 10]
    long = Reading("upgrade", "apt-get", text, code=0, cut=True)
    one = (program(), fetched(), reading("security", "x"), long)
    assert judged("updates.pending", *one).reason == (
        "apt would upgrade more packages than are read here"
    )


def reboot(one: Reading) -> Finding:
    return judged("updates.reboot", program(), one)


def test_a_restart() -> None:
    assert reboot(missing("reboot")) == Finding(Status.PASS, 0)
    wished = reboot(reading("reboot", mtime=NOW - DAY))
    assert (wished.status, wished.reason) == (Status.PASS, "a restart is wished for since 24 h")
    assert reboot(reading("reboot", mtime=NOW - 8 * DAY)).status is Status.FAIL
    assert reboot(reading("reboot", mtime="x")).status is Status.ERROR
    assert reboot(reading("reboot", trouble=Trouble.DENIED)).status is Status.ERROR


WANTS = "/etc/systemd/system/timers.target.wants/"
DNF = "[commands]\n#  comment\nupgrade_type = security\napply_updates = {}\n[emitters]\n"


def dnf(timers: str, config: str = DNF.format("no"), **more: Any) -> Finding:
    text = "\n".join(WANTS + timer for timer in timers.split())
    return judged(
        "updates.dnf_automatic",
        program(),
        reading("timers", text),
        reading("config", config, **more),
    )


def test_dnf_automatic() -> None:
    assert dnf("dnf-automatic-install.timer").status is Status.PASS
    assert dnf("dnf-automatic.timer", DNF.format("yes")) == Finding(
        Status.PASS, 0, "it installs what it finds"
    )
    assert dnf("dnf5-automatic.timer", DNF.format("True")).status is Status.PASS
    assert dnf("dnf-automatic.timer").status is Status.FAIL
    assert dnf("dnf-automatic.timer", "[commands]\n").status is Status.FAIL
    assert dnf("dnf-automatic-notifyonly.timer", DNF.format("yes")).status is Status.FAIL
    assert dnf("", DNF.format("yes")).status is Status.FAIL
    assert dnf("dnf-automatic.timer", "", trouble=Trouble.MISSING).status is Status.FAIL
    assert dnf("dnf-automatic.timer", "hello").status is Status.ERROR
    assert dnf("dnf-automatic.timer", DNF.format("perhaps")).status is Status.ERROR


OURS = [kind for kind in KINDS if kind.startswith("updates.")]


@pytest.mark.parametrize("kind", OURS)
def test_it_is_not_installed(kind) -> None:
    assert judged(kind, missing("program")).status is Status.NOT_APPLICABLE


# These read no text: a file that is there or not, and its time.
TIMES_ONLY = ("updates.last_run", "updates.reboot")
NAMES = (
    *("periodic", "origins", "stamp", "fetched /a", "lists", "packages", "security", "upgrade"),
    *("timers", "config"),
)


@pytest.mark.parametrize("kind", [kind for kind in OURS if kind not in TIMES_ONLY])
@given(look=looks_of(NAMES))
def test_nonsense_is_never_a_pass(kind, look) -> None:
    assert JUDGES[kind](Seen((program(), *look), given_to(kind), NOW, 2)).status is not Status.PASS


@pytest.mark.parametrize("kind", OURS)
@given(look=looks_of((*NAMES, "reboot")))
def test_nonsense_never_raises(kind, look) -> None:
    JUDGES[kind](Seen((program(), *look), given_to(kind), NOW, 2))
