"""The tables of routes: all that the ports answer.

The API's own description (`openapi`) is made from the same table, so it can't say anything else.
"""

from __future__ import annotations

from hullmark.masterd import (
    agents,
    api,
    audit_api,
    changecontrol_api,
    exec_api,
    explain_api,
    hostlife_api,
    moving_api,
    operating_api,
    peers_api,
    people_api,
    ports_api,
    posture_api,
    receipts_api,
    rollouts_api,
    snapshots_api,
)
from hullmark.masterd.route import (
    ADMINS,
    AFTER,
    DEPLOYERS,
    HOLD,
    HOLD_MAX_S,
    RECORDS,
    Login,
    Parameter,
    Route,
)
from hullmark.model import api as forms
from hullmark.model import protocol
from hullmark.model.observed import Report

EVENTS_MAX = 1000
TAIL_MAX = 100_000
ENROLL_BODY_MAX_BYTES = 64 << 10
REPORT_BODY_MAX_BYTES = 16 << 20

_LOGS = (
    Parameter("service", "", "only this service"),
    Parameter("slot", 0, "only this slot; 0: all", most=1 << 31),
    Parameter("tail", -1, "only so many last lines of each instance; -1: all", -1, TAIL_MAX),
    Parameter("since", "", "only lines since this time (RFC 3339, or seconds since 1970)"),
    Parameter("follow", False, "go on with new lines"),
)
_CURSOR = Parameter("after", 0, "the `last` of an earlier answer: events since; 0: the newest")
_CHANGE_MAX = forms.APPLY_BODY_MAX_BYTES

API: tuple[Route, ...] = (
    Route(
        "GET",
        "/v1/openapi.json",
        api.openapi,
        "This document",
        login=Login.NOBODY,
    ),
    Route(
        "GET",
        "/v1/ca",
        api.authority,
        "The cluster's root certificate",
        forms.Authority,
        login=Login.NOBODY,
    ),
    Route(
        "POST",
        "/v1/enroll",
        api.enroll,
        "Use an invite: a host gets its certificate",
        forms.EnrollAnswer,
        forms.EnrollRequest,
        login=Login.NOBODY,
        body_max_bytes=ENROLL_BODY_MAX_BYTES,
        careful=True,
    ),
    Route(
        "GET",
        "/v1/status",
        api.status,
        "How the cluster stands",
        forms.ClusterStatus,
        anywhere=True,
    ),
    Route("GET", "/v1/apps", api.apps, "All apps", forms.AppList),
    Route(
        "POST",
        "/v1/plan",
        api.plan,
        "What applying would change",
        forms.PlanAnswer,
        forms.PlanRequest,
        body_max_bytes=_CHANGE_MAX,
        needs=DEPLOYERS,
        question=True,
    ),
    Route(
        "PUT",
        "/v1/apps/{app}",
        api.apply,
        "Apply an app",
        forms.ApplyAnswer,
        forms.ApplyRequest,
        body_max_bytes=_CHANGE_MAX,
        needs=DEPLOYERS,
    ),
    Route(
        "GET",
        "/v1/apps/{app}",
        api.app,
        "One app with its instances",
        forms.AppDetail,
        query=(AFTER, HOLD),
    ),
    Route(
        "POST",
        "/v1/apps/{app}/scale",
        api.scale,
        "Change numbers of replicas",
        forms.ApplyAnswer,
        forms.ScaleRequest,
        needs=DEPLOYERS,
    ),
    Route(
        "DELETE",
        "/v1/apps/{app}",
        api.remove,
        "Remove an app",
        forms.ApplyAnswer,
        forms.RemoveRequest,
        needs=DEPLOYERS,
    ),
    Route(
        "GET",
        "/v1/apps/{app}/logs",
        api.logs,
        "An app's output, one JSON object on each line",
        forms.LogRecord,
        query=_LOGS,
        lines=True,
        needs=DEPLOYERS,
        told=True,
    ),
    Route(
        "GET",
        "/v1/instances",
        api.instances,
        "Instances of one app, or of all",
        forms.InstanceList,
        query=(Parameter("app", "", "only this app"),),
    ),
    Route("GET", "/v1/hosts", api.hosts, "All hosts", forms.HostList),
    Route(
        "GET",
        "/v1/events",
        api.events,
        "What happened",
        forms.EventList,
        query=(
            _CURSOR,
            Parameter("limit", 100, "at most so many", 1, EVENTS_MAX),
            Parameter("hold_s", 0.0, "how long to wait for the next one", most=HOLD_MAX_S),
        ),
        needs=RECORDS,
    ),
    Route("GET", "/v1/orphans", api.orphans, "Containers that no order names", forms.OrphanList),
    Route(
        "POST",
        "/v1/invites",
        api.invite,
        "Invite a host",
        forms.InviteAnswer,
        forms.InviteRequest,
        needs=ADMINS,
    ),
    *audit_api.ROUTES,
    *people_api.ROUTES,
    *peers_api.ROUTES,
    *exec_api.ROUTES,
    *explain_api.ROUTES,
    *moving_api.ROUTES,
    *rollouts_api.ROUTES,
    *ports_api.ROUTES,
    *posture_api.ROUTES,
    *hostlife_api.ROUTES,
    *snapshots_api.ROUTES,
    *operating_api.ROUTES,
    *changecontrol_api.ROUTES,
)

AGENTS: tuple[Route, ...] = (
    Route(
        "POST",
        protocol.POLL_PATH,
        agents.poll,
        "The heartbeat",
        protocol.PollAnswer,
        protocol.PollRequest,
        login=Login.HOST,
        sync=True,
        wakes=True,
    ),
    Route(
        "POST",
        protocol.ORDERS_PATH,
        agents.orders,
        "The host's orders",
        protocol.OrdersAnswer,
        login=Login.HOST,
        sync=True,
    ),
    Route(
        "POST",
        protocol.REPORT_PATH,
        agents.report,
        "What a host found",
        protocol.ReportAnswer,
        Report,
        login=Login.HOST,
        sync=True,
        body_max_bytes=REPORT_BODY_MAX_BYTES,
    ),
    Route(
        "POST",
        protocol.TASKS_PATH + "{task}",
        agents.answer_task,
        "The answer to a task",
        login=Login.HOST,
        sync=True,
        streams=True,
    ),
    Route(
        "POST",
        protocol.RENEW_PATH,
        agents.renew,
        "A new certificate",
        protocol.RenewAnswer,
        protocol.RenewRequest,
        login=Login.HOST,
        body_max_bytes=ENROLL_BODY_MAX_BYTES,
    ),
    *receipts_api.ROUTES,
)
