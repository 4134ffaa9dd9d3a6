"""Security updates: unattended-upgrades and apt, dnf-automatic."""

from __future__ import annotations

from collections.abc import Mapping

from hullmark.model.checkkinds.form import Form, Kind, Parameter
from hullmark.model.control import INSTALLED, SELF_REPORT

_CONFIG = Parameter(Form.PATH, "a file of apt's configuration that is read after the host's own")
_LISTS_AGE = Parameter(Form.DURATION, "how old apt's lists of packages may be", 3 * 86400)

KINDS: Mapping[str, Kind] = {
    "updates.unattended": Kind(
        "apt is told to fetch its lists and to run unattended-upgrades, and which updates these are",
        INSTALLED,
        interval_s=300,
        timeout_s=15,
        parameters={"config": _CONFIG},
        not_exercised="that the timer or cron job runs: when it ran last tells",
    ),
    "updates.last_run": Kind(
        "unattended-upgrades has come to its end lately, and apt has fetched its lists",
        SELF_REPORT,
        interval_s=300,
        timeout_s=10,
        parameters={
            "max_age": Parameter(Form.DURATION, "how long ago it may have run last", 3 * 86400),
            "max_list_age": _LISTS_AGE,
        },
        not_exercised="that each update was installed: what is pending tells",
    ),
    "updates.pending": Kind(
        "apt knows of no security update that unattended-upgrades left behind, or that waits for too long; nothing is fetched or "
        "installed for it",
        SELF_REPORT,
        interval_s=3 * 3600,
        timeout_s=60,
        parameters={
            "max_age": Parameter(
                Form.DURATION,
                "how long no package may have changed while a security update waits, where unattended-upgrades has not seen it",
                30 * 86400,
            ),
            "max_list_age": _LISTS_AGE,
            "source": Parameter(
                Form.TEXT,
                "what the names of archives of security updates have in common, in any case: of apt's files of lists, and of "
                "labels or suites",
                "security",
            ),
            "config": _CONFIG,
        },
        not_exercised="packages that are held, or in no list of apt; when an update came out, which apt does not know",
    ),
    "updates.reboot": Kind(
        "the host does not wait for a restart that an update needs",
        INSTALLED,
        interval_s=300,
        timeout_s=5,
        parameters={
            "max_age": Parameter(Form.DURATION, "how long it may wait", 7 * 86400),
        },
        not_exercised="processes that still use files from before an update",
    ),
    "updates.dnf_automatic": Kind(
        "dnf-automatic has a timer, and is told to install what it finds",
        INSTALLED,
        interval_s=300,
        timeout_s=5,
        not_exercised="that it runs, and that anything was installed: only its files are read",
    ),
}
