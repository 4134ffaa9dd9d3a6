"""A cluster as a shop has one, to look at its report: `python -m tests.unit.evidence.sample FOLDER` writes a few."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from hullmark.evidence.report import render
from hullmark.evidence.story import Story, Table
from hullmark.evidence.tables import Actions
from hullmark.evidence.telling import Question
from hullmark.model.auditline import parse
from hullmark.model.control import Condition, ControlSpec, Framework, Reading, Requirement, Status
from hullmark.model.moments import moment
from hullmark.model.outage import Incident, Note, Outage
from tests.unit.evidence.logbook import BEGINS, DAY, HOUR, Check, Log, evidence

CHECKS: Sequence[tuple[Check, int, str]] = (
    (("audit-trail-auditd", "daemon", "audit-trail"), 1, ""),
    (("audit-trail-auditd", "canary", "audit-trail"), 3, "that the rules record what they should: the canary proves the path of records"),
    (("local-logging-rsyslog", "canary", "local-logging"), 3, ""),
    (("log-forwarding-rsyslog", "canary", "log-forwarding"), 4, ""),
    (("log-protection-files", "modes", "log-protection"), 2, ""),
    (("file-integrity-aide", "database", "file-integrity"), 2, "that a changed file is found: AIDE's own run is not made by the check"),
    (("anti-malware-clamav", "eicar", "anti-malware"), 3, ""),
    (("time-chrony", "sources", "time"), 2, ""),
    (("firewall-nftables", "rules", "firewall"), 2, "packets: rules in force are compared with the saved ones"),
    (("patching-unattended-upgrades", "runs", "patching"), 2, ""),
    (("engine-hardening", "settings", "engine-hardening"), 2, ""),
)  # fmt: skip
TITLES = {
    "audit-trail-auditd": "Audit trail by auditd",
    "local-logging-rsyslog": "Local logging by rsyslog",
    "log-forwarding-rsyslog": "Forwarding of logs by rsyslog",
    "log-protection-files": "Permissions and retention of logs",
    "file-integrity-aide": "File integrity by AIDE",
    "anti-malware-clamav": "Anti-malware by ClamAV",
    "time-chrony": "Time by chrony",
    "firewall-nftables": "Firewall by nftables",
    "patching-unattended-upgrades": "Security updates by unattended-upgrades",
    "engine-hardening": "Settings of the container engine",
}
GAPS = "What was decided by people and what lies outside of hosts: reviews, approvals, network devices."
FRAMEWORK = Framework(
    "pci-dss-4.0.1",
    "PCI DSS 4.0.1",
    (
        Requirement("1.2.7", "Configurations of network controls are reviewed", "none", gaps=GAPS),
        Requirement("1.4.1", "Network security controls between trusted and untrusted networks", "partial", ("firewall",), ("ports",), "That the host's own firewall has the saved rules in force.", GAPS),
        Requirement("2.2.1", "Configuration standards for system components", "partial", ("engine-hardening",), ("policy",), "The engine's effective settings.", "Everything else that is installed on a host."),
        Requirement("5.2.1", "An anti-malware solution is deployed on system components", "direct", ("anti-malware",), (), "That the scanner's daemon finds the EICAR test file.", "Hosts that are left out because they are not at risk have to be justified."),
        Requirement("5.3.2", "Periodic or continuous scans are performed", "partial", ("anti-malware",), (), "That the scanner answers.", "Which folders are scanned, and how often."),
        Requirement("6.3.3", "Patches are installed", "partial", ("patching",), (), "That security updates are fetched and installed.", "Whether a patch was critical, and how soon it had to be there."),
        Requirement("8.2.1", "Users have a unique id", "partial", (), ("people", "audit")),
        Requirement("9.2.1", "Physical access to facilities is controlled", "none"),
        Requirement("10.2.1", "Audit logs are enabled and active", "direct", ("audit-trail",), ("audit",), "That a record which the check caused is in the log.", "That each event which the shop needs has a rule."),
        Requirement("10.2.1.2", "Actions by anybody with administrative access are logged", "partial", ("audit-trail",), ("audit",), "Administrative actions through Hullmark, all of them; others as the audit rules say.", "What is done past both."),
        Requirement("10.3.2", "Audit log files are protected", "direct", ("log-protection",), ("audit",), "Owners and modes of log files.", "Access to the log server."),
        Requirement("10.3.3", "Audit log files are promptly backed up to a secure, central, internal log server", "direct", ("log-forwarding",), (), "That a canary of each host was seen on the log host.", "How long the log host keeps them."),
        Requirement("10.3.4", "File integrity monitoring is used on audit logs", "direct", ("file-integrity",), (), "That AIDE's database is there and fresh.", "That somebody reads what it reports."),
        Requirement("10.6.1", "System clocks are synchronised", "direct", ("time",), (), "That chrony has a source and a small offset.", "The source's own time."),
        Requirement("10.7.2", "Failures of critical security control systems are detected, alerted and addressed promptly", "direct", ("audit-trail", "local-logging", "log-forwarding", "anti-malware", "file-integrity", "firewall"), ("outages",), "Each function is looked at, and its failures are told below.", "Controls outside of hosts."),
        Requirement("10.7.3", "Failures are responded to promptly", "partial", (), ("outages",), "Restoration and duration; what people wrote.", GAPS),
        Requirement("11.5.2", "A change-detection mechanism is deployed", "direct", ("file-integrity",), (), "That AIDE's database is there and fresh.", "Which files are critical is the shop's to say."),
    ),
)  # fmt: skip


def _definitions() -> dict[str, ControlSpec]:
    functions = {check[0]: check[2] for check, _, _ in CHECKS}
    return {
        name: ControlSpec(name, functions[name], title, "", Condition.ALL, (), "")
        for name, title in TITLES.items()
    }


def _looks(
    log: Log,
    begins: float,
    ends: float,
    failing: Sequence[tuple[str, float, float, str]],
    gap: tuple[float, float],
) -> None:
    """Hour after hour. `failing`: function, from, to (0: lasts), why. `gap`: when the agent was not there."""
    state = {}
    for check, level, not_exercised in CHECKS:
        reading = Reading(
            "status", f"look at {check[1]}", text=f"{check[0]} is well\npassword=hunter2", at=begins
        )
        log.result(
            check, Status.PASS, begins, level, readings=[reading], not_exercised=not_exercised
        )
        state[check] = Status.PASS
    at = begins
    while at < ends:
        until = min(at + HOUR, ends)
        if gap[0] <= at < gap[1]:
            at = until
            continue
        counts: dict[Check, dict[str, int]] = {check: {"pass": 60} for check, _, _ in CHECKS}
        for check, level, _ in CHECKS:
            for function, first, until_, why in failing:
                if check[2] != function:
                    continue
                last = until_ or ends + 1
                if at <= first < until:
                    log.result(check, Status.FAIL, first, reason=why)
                    state[check] = Status.FAIL
                if at <= last < until:
                    log.result(check, Status.PASS, last, level)
                    state[check] = Status.PASS
                if first < until and last > at:
                    counts[check]["fail"] = 30
        if at == gap[1]:
            for check, level, _ in CHECKS:
                log.result(check, state[check], at, level)
        log.summary(
            at, until, {check: (state[check], level, counts[check]) for check, level, _ in CHECKS}
        )
        at = until


def cluster(hosts: int = 12, days: float = 30.0) -> Story:
    ends = BEGINS + days * DAY
    names = [
        f"{kind}{number}.shop.example"
        for kind in ("web", "api", "db", "log")
        for number in (1, 2, 3)
    ][:hosts]
    unit = days * DAY / 30
    failing: dict[int, list[tuple[str, float, float, str]]] = {
        1: [("audit-trail", BEGINS + 3.1 * unit, BEGINS + 3.3 * unit, "auditd runs, and its rules were replaced by task,never")],
        2: [("log-forwarding", BEGINS + 12 * unit, BEGINS + 12.4 * unit, "no receipt of its canary from log1 for 90 s")],
        3: [("log-forwarding", BEGINS + 12 * unit, BEGINS + 12.45 * unit, "no receipt of its canary from log1 for 90 s")],
        4: [("log-forwarding", BEGINS + 12.01 * unit, BEGINS + 12.4 * unit, "no receipt of its canary from log1 for 90 s")],
        6: [("anti-malware", BEGINS + 20 * unit, BEGINS + 22.5 * unit, "clamd does not find EICAR: its database is older than 7 days"), ("time", BEGINS + 8 * unit, BEGINS + 8.01 * unit, "chrony has no source that it can reach")],
        7: [("file-integrity", BEGINS + 27 * unit, 0.0, "AIDE's database was never made")],
        9: [("firewall", BEGINS + 16 * unit, BEGINS + 16.2 * unit, "2 rules in force are not in /etc/nftables.conf: <b>inet filter</b> & others")],
    }  # fmt: skip
    logs, outages = [], []
    for number, name in enumerate(names):
        log = Log(f"host:{number:02d}-4f1c")
        log.act("root", "audit.started", "log", BEGINS - 90 * DAY)
        gap = (BEGINS + 5 * DAY, BEGINS + 5 * DAY + 3 * HOUR) if number == 10 else (0.0, 0.0)
        mine = failing.get(number, [])
        _looks(log, BEGINS - 2 * HOUR, ends + HOUR, mine, gap)
        for place, (function, first, last, why) in enumerate(mine):
            check = next(each for each, _, _ in CHECKS if each[2] == function)
            needs = ", ".join(
                each.requirement_id for each in FRAMEWORK.requirements if function in each.functions
            )
            fields = {
                "began": moment(first),
                "requirements": needs,
                "reason": why,
                "title": TITLES[check[0]],
            }
            planned = {"planned": "yes"} if function == "firewall" else {}
            log.outage("began", f"o{number}-{place}", check, ends + HOUR, **fields, **planned)
            outages.append(
                Outage(
                    f"o{number}-{place}",
                    name,
                    check[0],
                    function,
                    TITLES[check[0]],
                    first,
                    why,
                    ended=last,
                    planned=bool(planned),
                    ticket="CHG-204" if planned else "",
                    requirements=tuple(needs.split(", ")),
                )
            )
            if last:
                log.outage(
                    "recovered", f"o{number}-{place}", check, ends + HOUR, ended=moment(last)
                )
        logs.append(log)
    people = Log("master:m1")
    for number in range(9):
        people.act(
            "alice" if number % 3 else "token ci",
            "request.apply",
            f"shop{number}",
            BEGINS + number * 2.7 * unit,
            ticket=f"CHG-{200 + number}",
        )
    actions = Actions()
    for line in people.lines:
        actions.take(parse(line))
    hosts_by_log = {log.name: name for log, name in zip(logs, names)}
    asked = Question(
        "shop-production",
        FRAMEWORK,
        BEGINS,
        ends,
        ends + 2 * DAY,
        "auditor@shop",
        "0.6.0",
        hosts_by_log,
        _definitions(),
        _incidents(outages, unit),
        (*_tables(names, logs), actions.table()),
        ("3 hosts were removed in the period: db4, db5 and db6.",),
    )
    return evidence(asked, *logs).story()


def _incidents(outages: Sequence[Outage], unit: float) -> tuple[Incident, ...]:
    found = []
    for number, function in enumerate(dict.fromkeys(each.function for each in outages), 1):
        mine = {each.outage_id: each for each in outages if each.function == function}
        notes: tuple[Note, ...] = ()
        if function == "log-forwarding":
            at = BEGINS + 13 * unit
            notes = (
                Note(at, "alice", "cause", "The certificate of log1's receiver had expired."),
                Note(at, "alice", "remediation", "Renewed, CHG-219; its end is watched now."),
                Note(
                    at,
                    "bob",
                    "issues",
                    "Logs of 10 h were queued on the hosts and came later: none is missing.",
                ),
                Note(at, "bob", "risk", "None: queues are on disk and were complete."),
                Note(at, "bob", "", "Told to the acquirer by telephone."),
            )
        acknowledged = function != "file-integrity"
        found.append(
            Incident(
                number,
                function,
                mine,
                "alice" if acknowledged else "",
                BEGINS + 13 * unit if acknowledged else 0.0,
                notes,
            )
        )
    return tuple(found)


def _tables(names: Sequence[str], logs: Sequence[Log]) -> tuple[Table, ...]:
    digest = "sha256:" + "4f1c" * 16
    return (
        Table("hosts", "Hosts", ("Host", "State", "Operating system", "Kernel", "Engine", "Agent", "Scope", "Addresses"), tuple((name, "ready", "Debian GNU/Linux 12", "6.1.0-28-amd64", "docker 24.0.7", "0.6.0", "cde", f"10.0.0.{number}") for number, name in enumerate(names, 11))),
        Table("apps", "Apps", ("App", "Service", "State", "Generation", "Image", "Digest", "Changed", "By", "Ticket"), (("shop", "web", "ok", "14", "registry.shop.example/web:14", digest, "2025-12-11T10:00:00Z", "alice", "CHG-207"),)),
        Table("images", "Images that run", ("Image", "Id", "Hosts"), (("registry.shop.example/web:14", digest, ", ".join(names[:3])),)),
        Table("ports", "Ports that are open on hosts", ("Host", "Address", "Port", "Protocol", "Held by", "Name"), tuple((name, "every", port, "tcp", "process", what) for name in names for port, what in (("22", "sshd"), ("443", "shop/web")))),
        Table("people", "Users and roles", ("Who", "Role", "By what", "First acted in the period", "Last", "Actions"), (("group ops", "admin", "configuration of the master", "", "", ""), ("alice", "admin", "the records", "2025-12-01T00:00:00Z", "2025-12-22T14:24:00Z", "6"))),
        Table("verification", "Audit verification", ("Log", "Of", "Records", "From", "To", "Chain", "Vouched for up to", "By"), tuple((log.name, name, str(log.seq), "1", str(log.seq), "whole", str(log.seq), "m1, m2") for name, log in zip(names, logs))),
    )  # fmt: skip


def empty() -> Story:
    return evidence(
        Question(
            "nobody",
            Framework("none", "Nothing"),
            BEGINS,
            BEGINS + DAY,
            BEGINS + DAY,
            "root",
            "0.6.0",
            {},
        )
    ).story()


if __name__ == "__main__":
    for name, story in (("large", cluster()), ("small", cluster(1, 10 / 1440)), ("empty", empty())):
        Path(sys.argv[1], f"{name}.html").write_text(render(story, "ab" * 32))
