"""Mail that belongs to no campaign, what comes back, and what the numbers say afterwards."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from threading import Event
from typing import Any

from backends.embedded.listmonk import render
from backends.embedded.listmonk.app import App
from backends.embedded.listmonk.engine import PushTimedOut
from backends.embedded.listmonk.message import person_values
from backends.embedded.listmonk.post import Letter, Undelivered
from backends.embedded.listmonk.rows import NO_UUID, Subscriber, stamp
from backends.embedded.listmonk.web import Refusal, Reply, Request, route

KINDS = ("views", "clicks", "links", "bounces")
MOST_LINKS = 50
BY_DAY = timedelta(days=7)  # a longer range is counted by the day, a shorter one by the hour


def tx(app: App, request: Request) -> Any:
    """Queued. Those who aren't known are told after the others were served."""
    body = request.document()
    template = app.database.templates.get(int(body.get("template_id") or 0))
    if template is None or template.type != "tx":
        raise Refusal(HTTPStatus.BAD_REQUEST, f"Template {body.get('template_id')} not found")
    messenger = str(body.get("messenger") or "email")
    if not app.manager.has_messenger(messenger):
        raise Refusal(HTTPStatus.BAD_REQUEST, f"Unknown messenger {messenger}.")
    people, missing = _recipients(app, body)
    kind = str(body.get("content_type") or "html")
    subject = str(body.get("subject") or template.subject)
    sender = str(body.get("from_email") or app.in_force["app.from_email"])
    headers = {name: str(value) for one in body.get("headers") or [] for name, value in one.items()}
    for person in people:
        known = render.Values(person_values(person), {}, {}, dict(body.get("data") or {}))
        try:
            text = render.rendered(template.body, known, escape=kind != "plain")
            title = render.rendered(subject, known, escape=False)
            app.manager.push_alone(Letter(sender, person.email, title, text, kind, messenger, headers=headers))
        except (render.Unrenderable, PushTimedOut) as error:
            raise Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, f"Error sending: {error}") from error
    if missing:
        raise Refusal(HTTPStatus.BAD_REQUEST, "; ".join(f"Subscriber {one} not found" for one in missing))
    return True


def _recipients(app: App, body: dict[str, Any]) -> tuple[list[Subscriber], list[str]]:
    """Who gets it, and who isn't known. Raises Refusal."""
    mode = body.get("subscriber_mode") or "default"
    emails = [str(one) for one in body.get("subscriber_emails") or []]
    numbers = [int(one) for one in body.get("subscriber_ids") or []]
    if mode not in ("default", "fallback", "external") or not (emails or numbers):
        raise Refusal(HTTPStatus.BAD_REQUEST, "Invalid fields: subscriber_mode, subscriber_emails, subscriber_ids")
    now = app.clock()
    people: list[Subscriber] = []
    missing: list[str] = []
    for email in emails:
        row = None if mode == "external" else app.database.by_email(email)
        if row is None and mode == "default":
            missing.append(email)
        else:
            people.append(row or Subscriber(0, NO_UUID, now, now, email, email))
    for number in numbers:
        known = app.database.subscribers.get(number)
        if known is None:
            missing.append(str(number))
        else:
            people.append(known)
    return people, missing


def smtp_test(app: App, request: Request) -> Any:
    """At once, with the password that is sent; the answer to a good one is the log."""
    block = request.document()
    to = str(block.get("email") or "")
    if not to:
        raise Refusal(HTTPStatus.BAD_REQUEST, "Missing field(s): email")
    server = {"host": "", "port": 0, **block}
    letter = Letter(str(app.in_force["app.from_email"]), to, "Test connection", "It works.", "html", "email")
    try:
        app.post.push(letter, [server], app.clock(), Event())
    except Undelivered as error:
        raise Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, str(error)) from error
    return app.log.lines()


def bounced(app: App, request: Request) -> Any:
    """The route is there only where webhooks are on; a person who isn't known is passed over."""
    if not app.in_force["bounce.webhooks_enabled"]:
        return Reply(b"<!doctype html><title>Not found</title>", "text/html; charset=UTF-8", HTTPStatus.NOT_FOUND)
    if not app.in_force["bounce.enabled"]:
        raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "Bounce processing is not enabled")
    body = request.document()
    kind = str(body.get("type") or "hard")
    if kind not in app.in_force["bounce.actions"] or not (body.get("email") or body.get("subscriber_uuid")):
        raise Refusal(HTTPStatus.BAD_REQUEST, "Invalid data")
    with app.database.lock:
        wanted = str(body.get("subscriber_uuid") or "")
        named = next((row for row in app.database.subscribers.values() if wanted and row.uuid == wanted), None)
        person = named or app.database.by_email(str(body.get("email") or ""))
        of = str(body.get("campaign_uuid") or "")
        campaign = next((row.id for row in app.database.campaigns.values() if row.uuid == of), None)
        if person is not None:
            source, meta, actions = (
                str(body.get("source") or "api"),
                body.get("meta"),
                app.in_force["bounce.actions"],
            )
            app.database.record_bounce(person.id, campaign, kind, source, dict(meta or {}), actions)
    return True


def analytics(app: App, request: Request) -> Any:
    """By campaign and hour or day; links by how often they were clicked."""
    kind = request.found["kind"]
    try:
        campaigns = {int(one) for one in request.query.get("id", [])}
    except ValueError as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"Invalid IDs: {error}") from error
    if not campaigns:
        raise Refusal(HTTPStatus.BAD_REQUEST, "Missing field(s): `id`")
    since, until = _instant(request.one("from")), _instant(request.one("to"))
    if kind not in KINDS:
        raise Refusal(HTTPStatus.BAD_REQUEST, "Invalid data")
    with app.database.lock:
        if kind == "bounces":
            events = [(row.campaign_id or 0, row.created_at, "") for row in app.database.bounces]
        else:
            wanted = "clicks" if kind == "links" else kind
            events = [(of, at, url) for what, of, at, url in app.database.seen if what == wanted]
    events = [one for one in events if one[0] in campaigns and since <= one[1] <= until]
    if kind == "links":
        counts = Counter(url for _, _, url in events).most_common(MOST_LINKS)
        return [{"url": url, "count": count} for url, count in counts]
    return _buckets(((of, at) for of, at, _ in events), by_day=until - since >= BY_DAY)


def _buckets(events: Iterable[tuple[int, datetime]], *, by_day: bool) -> list[dict[str, Any]]:
    counts: Counter[tuple[datetime, int]] = Counter()
    for of, at in events:
        hour = at.replace(minute=0, second=0, microsecond=0)
        counts[hour.replace(hour=0) if by_day else hour, of] += 1
    return [
        {"campaign_id": of, "count": count, "timestamp": stamp(at)} for (at, of), count in sorted(counts.items())
    ]


def _instant(text: str) -> datetime:
    """Raises Refusal."""
    try:
        if not 10 <= len(text) <= 30:
            raise ValueError(text)
        at = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
    except ValueError as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, "Invalid dates") from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)


ROUTES = (
    route("POST", "/api/tx", tx, "tx:send"),
    route("POST", "/api/settings/smtp/test", smtp_test, "settings:manage"),
    route("POST", "/webhooks/bounce", bounced, "webhooks:post_bounce"),
    route("GET", "/api/campaigns/analytics/:kind", analytics, "campaigns:get_analytics"),
)
