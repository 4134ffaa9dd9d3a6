"""The API's handlers and routes for logins: people's sessions, machines' tokens."""

from __future__ import annotations

from hullmark.errors import InvalidInput, Problem
from hullmark.masterd.desk import Call, Desk
from hullmark.masterd.route import ACCESS, ADMINS, READERS, Login, Route
from hullmark.model.api import SessionAnswer, SessionRequest
from hullmark.model.people import (
    RevokeAnswer,
    RevokeRequest,
    TokenAnswer,
    TokenList,
    TokenRequest,
)
from hullmark.model.records import SessionRecord
from hullmark.pki.invites import new_secret, secret_hash

SESSION_PREFIX = "hms1."
TOKEN_PREFIX = "hmt1."  # noqa: S105
SESSION_S = (60.0, 604800.0)


async def open_session(desk: Desk, call: Call) -> SessionAnswer:
    """Only over the Unix socket: whoever has a role there gets a login for the API port."""
    valid_s = call.body.valid_s if "valid_s" in call.given else desk.terms.session_valid_s
    if not SESSION_S[0] <= valid_s <= SESSION_S[1]:
        allowed = f"{SESSION_S[0]:.0f} to {SESSION_S[1]:.0f} seconds"
        raise InvalidInput([Problem(f"{valid_s:.0f} s", field="valid_s", allowed=allowed)])
    now, caller = desk.wall(), call.caller
    assert caller.role is not None
    token = SESSION_PREFIX + new_secret()
    record = SessionRecord(
        caller.who,
        caller.role.value,
        now,
        now + valid_s,
        user=caller.user,
        uid=caller.uid,
        login_uid=caller.login_uid,
        login_known=caller.login_known,
    )
    await desk.cluster.people.open_session(secret_hash(token), record, call.change(desk))
    return SessionAnswer(token, record.who, record.role, record.expires_at)


async def create_token(desk: Desk, call: Call) -> TokenAnswer:
    body: TokenRequest = call.body
    token = TOKEN_PREFIX + new_secret()
    record = await desk.cluster.people.create(
        body,
        secret_hash(token),
        call.change(desk, body.request_id, body.ticket),
        call.caller.secret_sha256,
    )
    return TokenAnswer(record.name, token, body.role, record.expires_at, record.networks)


async def tokens(desk: Desk, call: Call) -> TokenList:
    return desk.cluster.people.tokens()


async def revoke_token(desk: Desk, call: Call) -> RevokeAnswer:
    body: RevokeRequest = call.body
    change = call.change(desk, body.request_id, body.ticket)
    return await desk.cluster.people.revoke(call.names["token"], body, change)


ROUTES: tuple[Route, ...] = (
    Route(
        "POST",
        "/v1/sessions",
        open_session,
        "A login for the API's port; over the Unix socket only",
        SessionAnswer,
        SessionRequest,
        login=Login.LOCAL,
        needs=READERS,
    ),
    Route("GET", "/v1/tokens", tokens, "Machines' logins", TokenList, needs=ACCESS),
    Route(
        "POST",
        "/v1/tokens",
        create_token,
        "Make a machine's login",
        TokenAnswer,
        TokenRequest,
        needs=ADMINS,
    ),
    Route(
        "DELETE",
        "/v1/tokens/{token}",
        revoke_token,
        "End a machine's login",
        RevokeAnswer,
        RevokeRequest,
        needs=ADMINS,
    ),
)
