"""Campaigns: reading, editing, their status, tests and previews."""

from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from backends.embedded.listmonk import render, rules
from backends.embedded.listmonk.app import App
from backends.embedded.listmonk.database import Missing
from backends.embedded.listmonk.edits import edit
from backends.embedded.listmonk.engine import PushTimedOut
from backends.embedded.listmonk.message import values
from backends.embedded.listmonk.people import User
from backends.embedded.listmonk.rows import NO_UUID, STATUSES, Campaign, Subscriber, stamp
from backends.embedded.listmonk.web import Refusal, Reply, Request, paged, route

ORDERS: dict[str, Callable[[Campaign], Any]] = {
    "name": lambda row: row.name,
    "status": lambda row: STATUSES.index(row.status),
    "created_at": lambda row: (row.created_at, row.id),
    "updated_at": lambda row: (row.updated_at, row.id),
}
NOT_IN_A_TSQUERY = set(":()!<>'")


def get_all(app: App, request: Request) -> Any:
    statuses, tags = request.query.get("status", []), request.query.get("tag", [])
    query = request.one("query").strip()
    for status in statuses:
        if why := rules.no_such_status(status):
            raise Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, f"Error fetching Campaigns: {why}")
    words = _words(query)
    order = request.one("order_by")
    with app.database.lock:
        rows = [
            row
            for row in app.database.campaigns.values()
            if _seen(request.who, row)
            and (not statuses or row.status in statuses)
            and set(tags) <= set(row.tags)
            and all(word in f"{row.name} {row.subject}".lower() for word in words)
        ]
        rows.sort(key=ORDERS.get(order, ORDERS["created_at"]), reverse=request.one("order") != "asc")
        bodies = not request.flag("no_body")
        return paged(request, rows, lambda row: _shown(app, row, body=bodies, source=bodies), query=query)


def get_one(app: App, request: Request) -> Any:
    return _shown(app, _campaign(app, request), body=not request.flag("no_body"))


def create(app: App, request: Request) -> Any:
    new = edit(request.document(), None, app.manager, app.clock(), app.in_force["app.from_email"])
    default = next((row.id for row in app.database.templates.values() if row.is_default), None)
    if new.fields["content_type"] != "visual":
        new.fields["template_id"] = new.fields["template_id"] or default
    new.fields["archive_template_id"] = new.fields["archive_template_id"] or new.fields["template_id"]
    return _shown(app, app.database.insert_campaign(new.fields, new.lists))


def update(app: App, request: Request) -> Any:
    stored = _campaign(app, request, manage=True)
    if stored.status not in rules.EDITABLE:
        raise Refusal(HTTPStatus.BAD_REQUEST, "Cannot update a running or a finished campaign.")
    changed = edit(request.document(), stored, app.manager, app.clock(), app.in_force["app.from_email"])
    app.database.update_campaign(stored.id, changed.fields, changed.lists)
    return _shown(app, app.database.campaign(stored.id))


def set_status(app: App, request: Request) -> Any:
    """The answer has the status that was asked for, whatever was stored."""
    stored = _campaign(app, request, manage=True)
    target = str(request.document().get("status", ""))
    if refused := rules.refused_status(stored, target):
        raise Refusal(HTTPStatus.BAD_REQUEST, refused)
    if why := rules.no_such_status(target):
        raise Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, f"Error updating Campaign: {why}")
    app.database.update_status(stored.id, target)
    if target in ("paused", "cancelled"):
        app.manager.stop_campaign(stored.id)
    stored.status = target
    return _shown(app, stored)


def delete(app: App, request: Request) -> Any:
    app.database.delete_campaign(_campaign(app, request, manage=True).id)
    return True


def running_stats(app: App, request: Request) -> Any:
    with app.database.lock:
        return [
            {
                "id": row.id,
                "status": row.status,
                "to_send": row.to_send,
                "sent": row.sent,
                "started_at": stamp(row.started_at),
                "updated_at": stamp(row.updated_at),
                "rate": app.manager.rate(row.id) if row.started_at else 0,
                "net_rate": rules.net_rate(row),
            }
            for row in app.database.campaigns.values()
            if row.status == "running"
        ]


def test(app: App, request: Request) -> Any:
    """Queued: whether it was sent only the log tells. All fields come from the request."""
    stored, body = _campaign(app, request, manage=True), request.document()
    asked = edit(body, None, app.manager, app.clock(), app.in_force["app.from_email"], test=True)
    emails = [str(one) for one in body.get("subscribers") or []]
    people = [person for email in emails if (person := app.database.by_email(email))]
    if not people:
        raise Refusal(HTTPStatus.BAD_REQUEST, "No known subscribers to test.")
    names = ("name", "subject", "from_email", "body", "altbody", "messenger", "content_type", "headers")
    sample = replace(stored, **{name: asked.fields[name] for name in names})
    for person in people:
        try:
            app.manager.push_test(sample, person)
        except (render.Uncompilable, render.Unrenderable, PushTimedOut) as error:
            app.log.write(f"error sending test message: {error}")
            raise Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, f"Error sending test: {error}") from error
    return True


def preview(app: App, request: Request) -> Reply:
    """For somebody who isn't there; with POST, of the body that is sent."""
    row = _campaign(app, request)
    form = {name: texts[-1] for name, texts in parse_qs(request.body.decode("utf-8", "replace")).items()}
    if request.method == "POST":
        row.content_type, row.body = form.get("content_type", ""), form.get("body", "")
    number = form.get("template_id") or request.one("template_id")
    template = app.database.template_body(int(number) if number.isdecimal() and number != "0" else row.template_id)
    now = app.clock()
    nobody = Subscriber(0, NO_UUID, now, now, "demo@listmonk.app", "Demo Subscriber", {"city": "Bengaluru"})
    plain = row.content_type == "plain"
    try:
        render.compiled(template, row.body, row.subject)
        known = values(row, nobody, app.in_force["app.root_url"], preview=True)
        _, body = render.message(row.subject, row.body, template, known, plain=plain)
    except render.Uncompilable as error:
        app.log.write(f"error compiling template: {error}")
        raise Refusal(HTTPStatus.BAD_REQUEST, f"Error compiling template: {error}") from error
    except render.Unrenderable as error:
        app.log.write(f"error rendering message: {error}")
        raise Refusal(HTTPStatus.BAD_REQUEST, f"Error rendering message: {error}") from error
    return Reply(body.encode(), f"text/{'plain' if plain else 'html'}; charset=UTF-8")


def _shown(app: App, row: Campaign, *, body: bool = True, source: bool = True) -> dict[str, Any]:
    return row.document(app.database.campaign_bounces(row.id), body=body, source=source)


def _campaign(app: App, request: Request, *, manage: bool = False) -> Campaign:
    """The one the path names, for somebody who may. Raises Refusal."""
    number, who = request.number(), request.who
    everything = "campaigns:manage_all" if manage else "campaigns:get_all"
    try:
        row = app.database.campaign(number)
    except Missing as error:
        if not (who.may(everything) or who.sees_all_lists()):
            raise _denied(manage) from error
        raise Refusal(HTTPStatus.BAD_REQUEST, "Campaign not found") from error
    if not (who.may(everything) or who.sees_all_lists() or _has(row, who)):
        raise _denied(manage)
    return row


def _denied(manage: bool) -> Refusal:
    return Refusal(HTTPStatus.FORBIDDEN, f"Permission denied: campaigns:{'manage' if manage else 'get'}")


def _seen(who: User, row: Campaign) -> bool:
    return who.may("campaigns:get_all") or who.sees_all_lists() or _has(row, who)


def _has(row: Campaign, who: User) -> bool:
    return bool({one.list_id for one in row.lists} & who.permitted_lists())


def _words(query: str) -> list[str]:
    """Blanks become `&`; what isn't a tsquery then is the database's error."""
    words = query.lower().split()
    if any(NOT_IN_A_TSQUERY & set(word) or set(word) & set("&|") for word in words):
        text = "&".join(query.split())
        raise Refusal(
            HTTPStatus.INTERNAL_SERVER_ERROR, f'Error fetching Campaigns: pq: syntax error in tsquery: "{text}"'
        )
    return words


GET, CHANGE = ("campaigns:get_all", "campaigns:get"), ("campaigns:manage_all", "campaigns:manage")
ROUTES = (
    route("GET", "/api/campaigns", get_all, *GET),
    route("GET", "/api/campaigns/running/stats", running_stats, *GET),
    route("GET", "/api/campaigns/:id", get_one, *GET),
    route("GET", "/api/campaigns/:id/preview", preview, *GET),
    route("POST", "/api/campaigns/:id/preview", preview, *GET),
    route("POST", "/api/campaigns/:id/test", test, *CHANGE),
    route("POST", "/api/campaigns", create, *CHANGE),
    route("PUT", "/api/campaigns/:id", update, *CHANGE),
    route("PUT", "/api/campaigns/:id/status", set_status, "campaigns:send"),
    route("DELETE", "/api/campaigns/:id", delete, *CHANGE),
)
