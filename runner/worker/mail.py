"""A campaign and a contact become a mail, by the runner's own composer. Pure; the console's dry run uses it too."""

import json
from collections import OrderedDict
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from jinja2 import nodes

from runner.campaign import metadata
from runner.campaign.address import BadAddress, check
from runner.campaign.metadata import Metadata, MetadataError
from runner.message import mail
from runner.message.headers import RowRefused
from runner.message.mail import Composer, Mail
from runner.message.template import Sandbox, Source, TemplateError, parse, sandbox, suggest
from runner.worker.schema import content_seal

_NAMES: Final = (
    ("blast_metadata.json from", "from_email"),
    ("blast_metadata.json ", ""),
    ("blast_template.html", "body"),
    ("blast_template.txt", "text"),
)
_SHAPES: Final = 32  # contacts may lack some of the variables: so many combinations are kept compiled


class ContentError(Exception):
    """The campaign can't be mailed to anybody; the text says which of its parts is wrong, and how."""


class Content:
    """What a campaign's item mails. Raises ContentError for a part that can't be used, whoever it is for."""

    def __init__(self, campaign: Mapping[str, Any]) -> None:
        if (seal := campaign.get("content_seal")) and seal != content_seal(campaign):
            raise ContentError("it isn't what was started, somebody changed it past the console")
        self._slug = str(campaign["campaign_id"])
        self._run_id = str(campaign.get("run_id") or "") or "unnamed"
        self._metadata = _metadata(campaign)
        self._html = _text(campaign, "body")
        self._text = _text(campaign, "text") or None
        if not self._html.strip():
            raise ContentError("body is empty")
        try:
            given = [source for source in mail.sources(self._metadata, self._html, self._text) if source]
            self.variables = frozenset[str]().union(*map(_variables, given))
        except TemplateError as error:
            raise ContentError(_named(str(error))) from None
        self._composers: OrderedDict[tuple[str, ...], Composer] = OrderedDict()

    def mail(self, contact: Mapping[str, Any], now: float) -> Mail:
        """The mail of one contact's item; `now` is in Unix seconds. Raises RowRefused, whose kind is "address",
        "template" or "header", for what is wrong with this one, such as a field that the templates use and it
        lacks; ContentError for what is wrong with all."""
        to = check(str(contact["email"]))
        if isinstance(to, BadAddress):
            raise RowRefused("address", to.why)
        columns = tuple(sorted(name for name in self.variables if contact.get(name) is not None))
        try:
            return self._composer(columns).compose([_said(contact[name]) for name in columns], to, now)
        except RowRefused as error:
            said = _named(str(error))
            if error.kind == "template" and error.column and "did you mean" not in said:
                meant = suggest(error.column, list(contact))  # the composer knows only what is used
                said += f"; did you mean {meant}?" if meant else ""
            raise RowRefused(error.kind, said, error.column) from None

    def _composer(self, columns: tuple[str, ...]) -> Composer:
        if (found := self._composers.get(columns)) is not None:
            self._composers.move_to_end(columns)
            return found
        try:
            made = Composer(self._slug, self._metadata, self._html, self._text, columns)
        except TemplateError as error:
            raise ContentError(_named(str(error))) from None
        made.run_id = self._run_id
        self._composers[columns] = made
        if len(self._composers) > _SHAPES:
            self._composers.popitem(last=False)
        return made


def _metadata(campaign: Mapping[str, Any]) -> Metadata:
    fields = {
        "name": _text(campaign, "campaign_name"),
        "subject": _text(campaign, "subject"),
        "from": _text(campaign, "from_email"),
        "reply_to": _text(campaign, "reply_to"),
        "list_unsubscribe": _text(campaign, "list_unsubscribe"),
    }
    for key, name in (("subject", "subject"), ("from", "from_email")):
        if not fields[key].strip():
            raise ContentError(f"{name} is empty")
    try:
        return metadata.parse(json.dumps(fields).encode())
    except MetadataError as error:
        raise ContentError(_named(str(error))) from None


def _text(campaign: Mapping[str, Any], name: str) -> str:
    value = campaign.get(name)
    if value is not None and not isinstance(value, str):
        raise ContentError(f"{name} is not a text")
    return value or ""


def _variables(source: Source) -> set[str]:
    """All names a template may ask for, its own among them. Raises TemplateError."""
    tree = parse(source, sandbox(source.html, Sandbox))
    return {name.name for name in tree.find_all(nodes.Name)}


def _said(value: Any) -> str:
    """A field as the templates have it: text. A number as people write it."""
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return str(value)


def _named(text: str) -> str:
    """The runner's files are the campaign's attributes here."""
    for file, name in _NAMES:
        text = text.replace(file, name)
    return text
