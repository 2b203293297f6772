"""listmonk's HTTP API, call by call. Blocking and bounded; reads are tried once more, writes never.

Its messages come in the language it is set to: only codes and what is read again afterwards count. It says 403
where a token is wrong or lacks a permission, and 400 for what isn't there.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Final, NoReturn
from urllib.parse import urlencode

from backends.listmonk.campaigns import Campaign, Listed, Running, read_campaign, read_campaigns, read_running
from backends.listmonk.reading import items, mapping, text, texts, whole
from backends.listmonk.system import Config, Import, MailList, Profile, Tuning
from backends.rest import Away, Purpose, Rejected, Rest
from backends.secret import Secret
from opsconsole.config import duration
from opsconsole.ports import NotThere, OutOfReach, Refused, Trouble
from opsconsole.settings import Listmonk

READS: Final = ("campaigns:get_all", "campaigns:get")
MANAGES: Final = ("campaigns:manage_all", "campaigns:manage")
SENDS: Final = ("campaigns:send",)
LOOKS_IN: Final = ("settings:get",)
SETS: Final = ("settings:manage",)
COUNTS: Final = ("subscribers:sql_query",)
BOUNCES: Final = ("bounces:get",)

MEANS_READ: Final = "What is shown of it is as old as its last answer."
MEANS_WRITE: Final = "Nothing was changed there."
MEANS_LOST: Final = "It may have been done all the same."

Params = Sequence[tuple[str, str | int]]


class LostReply(Trouble):
    """A write was asked for and its reply is lost: it may have been done. Read again, never write again blindly.
    Where what was asked for may send mail, the caller makes MaybeStarted of it."""


class Client:
    """One listmonk, by the token of one API user. Safe to use from several threads.

    Every call raises OutOfReach (nothing was done), Refused (it said no; `NotThere` where it knows no such thing)
    or Trouble (an answer that can't be used); writes also LostReply.
    """

    def __init__(self, name: str, settings: Listmonk, clock: Callable[[], datetime]) -> None:
        self.name, self.user = name, settings.user
        self._root = settings.url.rstrip("/")
        secret = Secret(settings.token, f"token of {settings.user} for listmonk {name}") if settings.token else None
        self._rest = Rest(
            f"listmonk {name}",
            self._root,
            secret,
            duration(settings.timeout),
            authorization=lambda token: f"token {settings.user}:{token}",
            clock=clock,
        )
        self._allowed: Profile | None = None

    def close(self) -> None:
        self._rest.close()

    @property
    def clock_offset(self) -> float | None:
        """Seconds that its clock is ahead of ours, by the date of its newest answer."""
        return self._rest.clock_offset

    @property
    def seconds(self) -> float:
        """The limit of one call."""
        return self._rest.seconds

    def page(self, path: str) -> str:
        """Where a person looks: `page("campaigns/5")`."""
        return f"{self._root}/admin/{path}"

    # What it is and what its settings are.

    def health(self) -> None:
        """Whether it answers; it looks at neither its database nor its mail server for that."""
        self.get("/health", "Asking whether it is up")

    def profile(self) -> Profile:
        """Who the token belongs to, and what that user may do."""
        profile = Profile.read(self.get("/profile", "Asking what the token may do"))
        self._allowed = profile
        return profile

    def config(self) -> Config:
        return Config.read(self.get("/config", "Reading its configuration"))

    def about(self) -> dict[str, Any]:
        """Its version, machine and database: the one answer that comes bare."""
        return mapping(self._get("/about", "Reading what it is"), "about")

    def tuning(self) -> Tuning:
        """What of its settings matters to a send; no secret of them is kept."""
        return Tuning.read(self.get("/settings", "Reading its settings", needs=LOOKS_IN))

    def logs(self) -> tuple[str, ...]:
        """Its newest log lines, oldest first: at most 5,000, those since its last start."""
        return texts(self.get("/logs", "Reading its log", needs=LOOKS_IN), "logs")

    def importing(self) -> Import:
        return Import.read(self.get("/import/subscribers", "Asking for imports", needs=("subscribers:import",)))

    # Campaigns.

    def campaigns(self, *statuses: str) -> Listed:
        """All campaigns in these states (in all, for none), without their bodies. It costs listmonk something."""
        params = [
            *(("status", status) for status in statuses),
            ("per_page", "all"),
            ("no_body", "true"),
            ("order_by", "created_at"),
            ("order", "desc"),
        ]
        return read_campaigns(self._rows("/campaigns", "Reading its campaigns", params, READS))

    def campaign(self, campaign_id: int) -> Campaign:
        """One campaign with its body. Raises NotThere."""
        doing = f"Reading campaign {campaign_id}"
        return read_campaign(self._entity(f"/campaigns/{campaign_id}", doing, needs=READS))

    def raw_campaign(self, campaign_id: int) -> dict[str, Any]:
        """The campaign as listmonk gives it, for what must be sent back whole. Raises NotThere."""
        doing = f"Reading campaign {campaign_id}"
        return mapping(self._entity(f"/campaigns/{campaign_id}", doing, needs=READS), "campaign")

    def running(self) -> tuple[Running, ...]:
        """How those that are running get on: cheap, and fit to be asked often."""
        rows = items(self.get("/campaigns/running/stats", "Reading what runs", needs=READS), "running/stats")
        return tuple(read_running(row) for row in rows)

    def preview(self, campaign_id: int) -> str:
        """The mail as listmonk renders it for its demonstration subscriber: HTML, or text for a plain campaign.

        Raises Refused where it doesn't render.
        """
        address = self._rest.address(f"/api/campaigns/{campaign_id}/preview")
        doing = f"Rendering campaign {campaign_id}"
        try:
            return self._rest.text(address, Purpose(doing, "It may not render for anybody."))
        except Rejected as no:
            self._denied(no, doing, READS)

    def put_status(self, campaign_id: int, status: str) -> None:
        """Ask for another state. The reply is an echo of the question, so none is given: read the campaign again.

        Raises Refused where it can't change so from the state it is in, LostReply where it may have.
        """
        doing = f"Setting campaign {campaign_id} to {status}"
        self.write("PUT", f"/campaigns/{campaign_id}/status", {"status": status}, doing, needs=SENDS)

    # Lists, subscribers, bounces.

    def lists(self) -> tuple[MailList, ...]:
        """All lists with their counts. It counts all subscriptions anew for that: never in a poll."""
        return self._lists([("per_page", "all")])

    def lists_without_counts(self) -> tuple[MailList, ...]:
        """All lists: cheap, without counts."""
        return self._lists([("minimal", "true"), ("per_page", "all")])

    def _lists(self, params: Params) -> tuple[MailList, ...]:
        return tuple(MailList.read(row) for row in self._rows("/lists", "Reading its lists", params))

    def count_subscribers(self, query: str) -> int:
        """How many subscribers an SQL condition holds for; each counts once."""
        params = [("query", query), ("per_page", "1")]
        answer = mapping(self.get("/subscribers", "Counting subscribers", params, COUNTS), "subscribers")
        return whole(answer, "total")

    def bounces(self, campaign_id: int, newest: int = 1000) -> tuple[tuple[str, str], ...]:
        """Class and source of the newest bounces of a campaign: (`hard`, `ses`)."""
        params: Params = [
            ("campaign_id", campaign_id),
            ("order_by", "created_at"),
            ("order", "desc"),
            ("page", 1),
            ("per_page", newest),
        ]
        rows = self._rows("/bounces", "Reading bounces", params, BOUNCES)
        return tuple((text(mapping(row, "bounce"), "type"), text(mapping(row, "bounce"), "source")) for row in rows)

    def template(self, template_id: int) -> dict[str, Any]:
        """Raises NotThere."""
        doing = f"Reading template {template_id}"
        return mapping(self._entity(f"/templates/{template_id}", doing, needs=("templates:get",)), "template")

    # How anything is asked.

    def get(self, path: str, doing: str, params: Params = (), needs: Iterable[str] = ()) -> Any:
        """What is in the envelope. `needs` names permissions of which one is asked for there."""
        return mapping(self._get(path, doing, params, needs), path).get("data")

    def write(self, method: str, path: str, body: Any, doing: str, needs: Iterable[str] = ()) -> Any:
        """What is in the envelope of the reply. Asked once, whatever comes of it."""
        try:
            answer = self._rest.write(method, self._rest.address(f"/api{path}"), body, Purpose(doing, MEANS_WRITE))
        except Rejected as no:
            self._denied(no, doing, needs)
        except Away as away:
            if away.asked:
                raise LostReply(away.what, MEANS_LOST, "Look at it there before anything else.") from None
            raise
        except (OutOfReach, Refused):
            raise
        except Trouble as trouble:  # it answered, with something that isn't its own
            raise LostReply(trouble.what, MEANS_LOST, "Look at it there before anything else.") from None
        return answer.get("data") if isinstance(answer, dict) else None

    def _get(self, path: str, doing: str, params: Params = (), needs: Iterable[str] = ()) -> Any:
        address = self._rest.address(f"/api{path}") + (f"?{urlencode(params)}" if params else "")
        try:
            return self._rest.get(address, Purpose(doing, MEANS_READ))
        except Rejected as no:
            self._denied(no, doing, needs)

    def _entity(self, path: str, doing: str, needs: Iterable[str]) -> Any:
        """One thing by its id: not there is a 400, as the id itself can't be wrong."""
        try:
            return self.get(path, doing, needs=needs)
        except Rejected as no:
            if no.status == 400:
                raise NotThere(f"{doing} failed: listmonk {self.name} has none of that number.") from None
            raise

    def _rows(self, path: str, doing: str, params: Params = (), needs: Iterable[str] = ()) -> list[Any]:
        """The rows of a list: `data` is the list itself where listmonk gives it so, as for no lists at all."""
        data = self.get(path, doing, params, needs)
        return items(data if isinstance(data, list) else mapping(data, path).get("results"), path)

    def _denied(self, no: Rejected, doing: str, needs: Iterable[str]) -> NoReturn:
        """A 403 in words: a wrong token and a missing permission have the same code."""
        if no.status != 403:
            raise no
        wanted, known = tuple(needs), self._allowed
        if wanted and known is not None and not known.may(*wanted):
            why = f"{doing} failed: the user {self.user} of listmonk {self.name} lacks {' or '.join(wanted)} (403)."
            raise Refused(why, no.means, "Give the user's role that permission, or do without this.") from None
        may_be = f", or its user lacks {' or '.join(wanted)}" if wanted else ""
        why = f"{doing} failed: listmonk {self.name} doesn't accept the token of {self.user}{may_be} (403)."
        raise Refused(
            why, no.means, "Check user and token in the config; listmonk shows a token only once."
        ) from None
