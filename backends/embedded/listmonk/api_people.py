"""Lists, subscribers, bounces and the import."""

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from backends.embedded.listmonk.app import App, Import
from backends.embedded.listmonk.database import Missing
from backends.embedded.listmonk.rows import Bounce, MailingList, Subscriber, stamp
from backends.embedded.listmonk.subscriber_query import BadQuery, matching
from backends.embedded.listmonk.web import Refusal, Request, page_of, paged, route

LIST_ORDERS: dict[str, Callable[[MailingList], Any]] = {
    "name": lambda row: row.name,
    "status": lambda row: row.status,
    "created_at": lambda row: (row.created_at, row.id),
    "updated_at": lambda row: (row.updated_at, row.id),
}
PERSON_ORDERS: dict[str, Callable[[Subscriber], Any]] = {
    "email": lambda row: row.email,
    "status": lambda row: row.status,
    "name": lambda row: row.name,
    "created_at": lambda row: (row.created_at, row.id),
    "updated_at": lambda row: (row.updated_at, row.id),
}


def get_lists(app: App, request: Request) -> Any:
    """`minimal` is a whole page without counts; the others count every subscription of every list."""
    who, minimal = request.who, request.flag("minimal")
    wanted = {"type": request.one("type"), "optin": request.one("optin"), "status": request.one("status")}
    search, tags = request.one("query").strip().lower(), set(request.query.get("tag", []))
    with app.database.lock:
        rows = [
            row
            for row in app.database.lists.values()
            if (who.sees_all_lists() or row.id in who.permitted_lists())
            and all(not value or getattr(row, name) == value for name, value in wanted.items())
            and search in row.name.lower()
            and tags <= set(row.tags)
        ]
        if minimal:
            shown = [_list(app, row, counts=False) for row in sorted(rows, key=lambda row: row.id)]
            whole = {
                "results": shown,
                "search": "",
                "query": "",
                "total": len(shown),
                "per_page": len(shown),
                "page": 1,
            }
            return whole if shown else []
        orders = {**LIST_ORDERS, "subscriber_count": lambda row: len(app.database.members[row.id])}
        order = orders.get(request.one("order_by"), LIST_ORDERS["created_at"])
        rows.sort(key=order, reverse=request.one("order") == "desc")
        return paged(request, rows, lambda row: _list(app, row), query=request.one("query"))


def get_list(app: App, request: Request) -> Any:
    number, who = request.number(), request.who
    if not (who.sees_all_lists() or number in who.permitted_lists()):
        raise Refusal(HTTPStatus.FORBIDDEN, "Permission denied: list:get")
    with app.database.lock:
        if number not in app.database.lists:
            raise Refusal(HTTPStatus.BAD_REQUEST, "List not found")
        return _list(app, app.database.lists[number])


def create_list(app: App, request: Request) -> Any:
    body = request.document()
    name = body.get("name")
    if not isinstance(name, str) or not name:
        raise Refusal(HTTPStatus.BAD_REQUEST, "Invalid name.")
    given = {key: body[key] for key in ("type", "optin", "status", "tags", "description") if body.get(key)}
    return _list(app, app.database.add_list(name, **given))


def delete_list(app: App, request: Request) -> Any:
    number = request.number()
    if not request.who.sees_all_lists(manage=True):
        raise Refusal(HTTPStatus.FORBIDDEN, "Permission denied: list:manage")
    try:
        app.database.delete_list(number)
    except Missing as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, "List not found") from error
    return True


def get_subscribers(app: App, request: Request) -> Any:
    """With several `list_id` a person counts once for each list that has them."""
    query = request.one("query").strip()
    if query and not request.who.may("subscribers:sql_query"):
        raise Refusal(HTTPStatus.FORBIDDEN, "Permission denied: subscribers:sql_query")
    try:
        lists = [int(one) for one in request.query.get("list_id", [])]
    except ValueError as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, "invalid ID") from error
    if not request.who.may("subscribers:get_all"):
        permitted = request.who.permitted_lists()
        lists = [one for one in lists if one in permitted] if lists else sorted(permitted)
        if not lists:
            raise Refusal(HTTPStatus.FORBIDDEN, "Permission denied: subscribers:get_all")
    database, search = app.database, request.one("search").strip()
    with database.lock:
        rows = _joined(app, lists, request.one("subscription_status"))
        if search:
            rows = [row for row in rows if re.search(search, f"{row.name}\n{row.email}", re.IGNORECASE)]
        if query:
            try:
                found = matching(database, query)
            except BadQuery as error:
                raise Refusal(HTTPStatus.BAD_REQUEST, f"Error preparing subscriber query: {error}") from error
            rows = [row for row in rows if row.id in found]
        order = PERSON_ORDERS.get(request.one("order_by"), lambda row: row.id)
        rows.sort(key=order, reverse=request.one("order") != "asc")
        page, size = page_of(request)
        answer = paged(request, rows, lambda row: _person(app, row), query=query, search=search)
        return {**answer, "search": search, "query": query, "total": len(rows), "per_page": size, "page": page}


def _joined(app: App, lists: list[int], status: str) -> list[Subscriber]:
    people = app.database.subscribers
    if not lists:
        return list(people.values())
    members = (app.database.members.get(one, {}) for one in lists)
    return [people[number] for of in members for number, row in of.items() if not status or row.status == status]


def get_subscriber(app: App, request: Request) -> Any:
    with app.database.lock:
        row = app.database.subscribers.get(request.number())
        if row is None:
            raise Refusal(HTTPStatus.BAD_REQUEST, "Subscriber not found")
        return _person(app, row)


def create_subscriber(app: App, request: Request) -> Any:
    body = request.document()
    email, name = str(body.get("email", "")), str(body.get("name", ""))
    if "@" not in email:
        raise Refusal(HTTPStatus.BAD_REQUEST, "Invalid email.")
    try:
        row = app.database.add_subscriber(
            email, name, status=str(body.get("status") or "enabled"), attribs=dict(body.get("attribs") or {})
        )
    except ValueError as error:
        raise Refusal(HTTPStatus.CONFLICT, str(error)) from error
    status = "confirmed" if body.get("preconfirm_subscriptions") else "unconfirmed"
    for number in body.get("lists") or []:
        if number in app.database.lists:
            app.database.subscribe(row.id, number, "unsubscribed" if row.status == "blocklisted" else status)
    with app.database.lock:
        return _person(app, row)


def delete_subscriber(app: App, request: Request) -> Any:
    try:
        app.database.delete_subscriber(request.number())
    except Missing as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, "Subscriber not found") from error
    return True


def get_bounces(app: App, request: Request) -> Any:
    campaign, source = request.one("campaign_id"), request.one("source")
    with app.database.lock:
        rows = [
            row
            for row in app.database.bounces
            if (not campaign or str(row.campaign_id) == campaign) and (not source or row.source == source)
        ]
        orders: dict[str, Callable[[Bounce], Any]] = {
            "email": lambda row: app.database.subscribers[row.subscriber_id].email,
            "campaign_name": lambda row: _name(app, row),
            "source": lambda row: row.source,
            "type": lambda row: row.type,
        }
        order = orders.get(request.one("order_by"), lambda row: (row.created_at, row.id))
        rows = sorted((row for row in rows if row.subscriber_id in app.database.subscribers), key=order)
        rows = rows if request.one("order") == "asc" else rows[::-1]
        return paged(request, rows, lambda row: _bounce(app, row))


def get_import(app: App, request: Request) -> Any:
    now = app.importing
    return {"name": now.name, "total": now.total, "imported": now.imported, "status": now.status}


def blocklist(app: App, request: Request) -> Any:
    number = request.number()
    if number not in app.database.subscribers:
        raise Refusal(HTTPStatus.BAD_REQUEST, "Subscriber not found")
    app.database.blocklist(number)
    return True


def stop_import(app: App, request: Request) -> Any:
    app.importing = Import()
    return get_import(app, request)


def _list(app: App, row: MailingList, *, counts: bool = True) -> dict[str, Any]:
    statuses: dict[str, int] = {}
    for subscription in app.database.members[row.id].values() if counts else ():
        statuses[subscription.status] = statuses.get(subscription.status, 0) + 1
    return {
        "id": row.id,
        "created_at": stamp(row.created_at),
        "updated_at": stamp(row.updated_at),
        "uuid": row.uuid,
        "name": row.name,
        "type": row.type,
        "optin": row.optin,
        "status": row.status,
        "tags": list(row.tags),
        "description": row.description,
        "subscriber_count": sum(statuses.values()),
        "subscriber_statuses": statuses,
    }


def _person(app: App, row: Subscriber) -> dict[str, Any]:
    lists = []
    for number, members in app.database.members.items():
        if (subscription := members.get(row.id)) is not None:
            of = _list(app, app.database.lists[number], counts=False)
            del of["subscriber_count"], of["subscriber_statuses"]
            of["subscription_status"] = subscription.status
            of["subscription_created_at"] = stamp(subscription.created_at)
            of["subscription_updated_at"] = stamp(subscription.updated_at)
            of["subscription_meta"] = {}
            lists.append(of)
    return {
        "id": row.id,
        "created_at": stamp(row.created_at),
        "updated_at": stamp(row.updated_at),
        "uuid": row.uuid,
        "email": row.email,
        "name": row.name,
        "attribs": dict(row.attribs),
        "status": row.status,
        "lists": lists,
    }


def _bounce(app: App, row: Bounce) -> dict[str, Any]:
    person = app.database.subscribers[row.subscriber_id]
    return {
        "id": row.id,
        "type": row.type,
        "source": row.source,
        "meta": dict(row.meta),
        "created_at": stamp(row.created_at),
        "email": person.email,
        "subscriber_uuid": person.uuid,
        "subscriber_id": person.id,
        "subscriber_status": person.status,
        "campaign": {"id": row.campaign_id, "name": _name(app, row)} if _name(app, row) else None,
    }


def _name(app: App, row: Bounce) -> str:
    campaign = app.database.campaigns.get(row.campaign_id or 0)
    return campaign.name if campaign else ""


GET_PEOPLE = ("subscribers:get_all", "subscribers:get")
ROUTES = (
    route("GET", "/api/lists", get_lists),
    route("GET", "/api/lists/:id", get_list),
    route("POST", "/api/lists", create_list, "lists:manage_all"),
    route("DELETE", "/api/lists/:id", delete_list),
    route("GET", "/api/subscribers", get_subscribers, *GET_PEOPLE),
    route("GET", "/api/subscribers/:id", get_subscriber, *GET_PEOPLE),
    route("POST", "/api/subscribers", create_subscriber, "subscribers:manage"),
    route("PUT", "/api/subscribers/:id/blocklist", blocklist, "subscribers:manage"),
    route("DELETE", "/api/import/subscribers", stop_import, "subscribers:import"),
    route("DELETE", "/api/subscribers/:id", delete_subscriber, "subscribers:manage"),
    route("GET", "/api/bounces", get_bounces, "bounces:get"),
    route("GET", "/api/import/subscribers", get_import, "subscribers:import"),
)
