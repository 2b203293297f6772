"""Its settings: what is stored, how it is shown with the secrets masked, and what a change of them may be."""

import re
import uuid
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

MASK = "•"
BLOCKS = ("smtp", "messengers", "bounce.mailboxes")  # lists of tables with a password each, told apart by uuid
SECRETS = ("upload.s3.aws_secret_access_key", "bounce.sendgrid_key", "security.captcha_secret")
NOT_IN_A_NAME = re.compile(r"[^a-z0-9\-]")


class Invalid(Exception):
    """A change that it refuses, with its words."""


def smtp_block(name: str = "", **fields: Any) -> dict[str, Any]:
    """One server with the defaults of its schema."""
    return {
        "name": f"email-{name}" if name else "",
        "uuid": str(uuid.uuid4()),
        "enabled": True,
        "host": "smtp.example.com",
        "hello_hostname": "",
        "port": 25,
        "auth_protocol": "cram",
        "username": "username",
        "password": "password",
        "email_headers": [],
        "max_conns": 10,
        "max_msg_retries": 2,
        "msg_retry_delay": "10ms",
        "idle_timeout": "15s",
        "wait_timeout": "5s",
        "tls_type": "STARTTLS",
        "tls_skip_verify": False,
        "from_addresses": [],
        **fields,
    }


def defaults(root_url: str) -> dict[str, Any]:
    return {
        "app.site_name": "Mailing list",
        "app.root_url": root_url,
        "app.from_email": "Lists <lists@example.com>",
        "app.notify_emails": [],
        "app.lang": "en",
        "app.batch_size": 1000,
        "app.concurrency": 10,
        "app.message_rate": 10,
        "app.max_send_errors": 1000,
        "app.message_sliding_window": False,
        "app.message_sliding_window_duration": "1h",
        "app.message_sliding_window_rate": 10000,
        "app.cache_slow_queries": False,
        "app.cache_slow_queries_interval": "0 3 * * *",
        "privacy.individual_tracking": False,
        "privacy.disable_tracking": False,
        "smtp": [smtp_block()],
        "messengers": [],
        "bounce.enabled": False,
        "bounce.webhooks_enabled": False,
        "bounce.actions": {
            "soft": {"count": 2, "action": "none"},
            "hard": {"count": 1, "action": "blocklist"},
            "complaint": {"count": 1, "action": "blocklist"},
        },
        "bounce.ses_enabled": False,
        "bounce.sendgrid_enabled": False,
        "bounce.sendgrid_key": "",
        "bounce.mailboxes": [],
        "security.captcha_secret": "",
        "upload.provider": "filesystem",
        "upload.s3.aws_secret_access_key": "",
    }


def masked(stored: Mapping[str, Any]) -> dict[str, Any]:
    """As it is shown: every secret as so many dots as it has characters."""
    shown = deepcopy(dict(stored))
    for name in BLOCKS:
        for block in shown[name]:
            block["password"] = MASK * len(block.get("password", ""))
    for name in SECRETS:
        shown[name] = MASK * len(shown[name])
    return shown


def replaced(stored: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """All of them, from one document: what it doesn't name becomes empty, an empty secret stays what it was.

    The dots of a masked secret are taken for the secret itself. Raises Invalid.
    """
    settings = {name: deepcopy(new.get(name, type(old)())) for name, old in stored.items()}
    names = {"email"}
    for block in settings["smtp"]:
        block["name"] = _messenger(str(block.get("name", "")))
        if block["name"] in names:
            raise Invalid(f"Duplicate messenger name: `{block['name']}`.")
        names |= {block["name"]} - {""}
    if not any(block.get("enabled") for block in settings["smtp"]):
        raise Invalid("At least one SMTP block should be enabled.")
    for name in BLOCKS:
        for block in settings[name]:
            block["uuid"] = block.get("uuid") or str(uuid.uuid4())
            if not block.get("password"):
                earlier = (one for one in stored[name] if one["uuid"] == block["uuid"])
                block["password"] = next((one["password"] for one in earlier), "")
    for name in SECRETS:
        settings[name] = settings[name] or stored[name]
    settings["app.root_url"] = str(settings["app.root_url"]).rstrip("/")
    return settings


def changed(stored: Mapping[str, Any], name: str, value: Any) -> dict[str, Any]:
    """One of them, as it is given. One that isn't there changes nothing."""
    return {**stored, name: deepcopy(value)} if name in stored else dict(stored)


def _messenger(name: str) -> str:
    name = NOT_IN_A_NAME.sub("-", name.strip().lower())
    return name if not name or name.startswith("email-") else f"email-{name}"
