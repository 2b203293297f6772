"""Settings, the log, the platform itself, templates and transactional mail."""

import json
import os
import platform
from collections.abc import Iterator
from http import HTTPStatus
from queue import Empty
from typing import Any

from backends.embedded.listmonk import settings
from backends.embedded.listmonk.app import App
from backends.embedded.listmonk.people import PERMISSIONS
from backends.embedded.listmonk.web import Refusal, Reply, Request, bare, route


def health(app: App, request: Request) -> Any:
    """Nothing is looked at."""
    return True


def config(app: App, request: Request) -> Any:
    """Of the settings in force, which are not the stored ones while a restart is needed."""
    now = app.in_force
    return {
        "root_url": now["app.root_url"],
        "from_email": now["app.from_email"],
        "public_subscription": {"enabled": True, "captcha_enabled": False, "captcha_provider": None},
        "privacy": {
            "disable_tracking": now["privacy.disable_tracking"],
            "individual_tracking": now["privacy.individual_tracking"],
        },
        "media_provider": now["upload.provider"],
        "messengers": app.manager.messengers(),
        "langs": [{"code": "en", "name": "English"}],
        "lang": now["app.lang"],
        "permissions": list(PERMISSIONS),
        "update": None,
        "needs_restart": app.needs_restart,
        "has_legacy_user": False,
        "version": app.version,
    }


def about(app: App, request: Request) -> Reply:
    return bare(
        {
            "version": app.version,
            "build": f"{app.version} (#embedded 2026-07-01T00:00:00+0000)",
            "go_version": "go1.24.1",
            "go_arch": "amd64",
            "database": {"version": "PostgreSQL 15.8", "size_mb": 12},
            "system": {"num_cpu": os.cpu_count() or 1, "memory_alloc_mb": 9, "memory_from_os_mb": 30},
            "host": {"os": "linux", "arch": platform.machine(), "hostname": platform.node()},
        }
    )


def profile(app: App, request: Request) -> Any:
    return request.who.document()


def counts(app: App, request: Request) -> Any:
    base = app.database
    with base.lock:
        statuses: dict[str, int] = {}
        for row in base.campaigns.values():
            statuses[row.status] = statuses.get(row.status, 0) + 1
        lists = list(base.lists.values())
        subscribed = {number for members in base.members.values() for number in members}
        return {
            "subscribers": {
                "total": len(base.subscribers),
                "blocklisted": sum(row.status == "blocklisted" for row in base.subscribers.values()),
                "orphans": len(base.subscribers.keys() - subscribed),
            },
            "lists": {
                "total": len(lists),
                "private": sum(row.type == "private" for row in lists),
                "public": sum(row.type == "public" for row in lists),
                "optin_single": sum(row.optin == "single" for row in lists),
                "optin_double": sum(row.optin == "double" for row in lists),
            },
            "campaigns": {"total": len(base.campaigns), "by_status": statuses},
            "messages": sum(row.sent for row in base.campaigns.values()),
        }


def logs(app: App, request: Request) -> Any:
    return app.log.lines()


def events(app: App, request: Request) -> Reply:
    """Lines with "error" in them, for as long as somebody listens."""
    return Reply(kind="text/event-stream", frames=_frames(app))


def _frames(app: App) -> Iterator[bytes]:
    log = app.log
    listener = log.listen()
    try:
        while not app.manager.dead.is_set():
            try:
                line = listener.get(timeout=0.1)
            except Empty:
                yield b""
                continue
            event = {"id": "", "type": "error", "message": line, "data": None}
            yield b"retry: 3000\ndata: " + json.dumps(event).encode() + b"\n\n"
    finally:
        log.leave(listener)


def get_settings(app: App, request: Request) -> Any:
    return app.shown_settings()


def put_settings(app: App, request: Request) -> Any:
    try:
        return app.save(settings.replaced(app.stored, request.document()))
    except settings.Invalid as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, str(error)) from error


def put_setting(app: App, request: Request) -> Any:
    return app.save(settings.changed(app.stored, request.found["key"], request.json()))


def reload(app: App, request: Request) -> Any:
    app.reload()
    return True


def templates(app: App, request: Request) -> Any:
    with app.database.lock:
        return [row.document(body=not request.flag("no_body")) for row in app.database.templates.values()]


def template(app: App, request: Request) -> Any:
    row = app.database.templates.get(request.number())
    if row is None:
        raise Refusal(HTTPStatus.BAD_REQUEST, "Template not found")
    return row.document()


ROUTES = (
    route("GET", "/health", health, public=True),
    route("GET", "/api/health", health),
    route("GET", "/api/config", config),
    route("GET", "/api/about", about),
    route("GET", "/api/profile", profile),
    route("GET", "/api/dashboard/counts", counts),
    route("GET", "/api/logs", logs, "settings:get"),
    route("GET", "/api/events", events, "settings:get"),
    route("GET", "/api/settings", get_settings, "settings:get"),
    route("PUT", "/api/settings", put_settings, "settings:manage"),
    route("PUT", "/api/settings/:key", put_setting, "settings:manage"),
    route("POST", "/api/admin/reload", reload, "settings:manage"),
    route("GET", "/api/templates", templates, "templates:get"),
    route("GET", "/api/templates/:id", template, "templates:get"),
)
