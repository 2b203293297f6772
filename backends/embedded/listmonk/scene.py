"""The demo's listmonk: a sailing club's letters, one campaign for each thing that happens to campaigns there.

All times are taken from `now`; all else comes out the same every time.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from backends.embedded.campaigns.people import people
from backends.embedded.listmonk import settings
from backends.embedded.listmonk.people import MANAGE, User
from backends.embedded.listmonk.rows import MailingList
from backends.embedded.listmonk.standin import StandIn

SENDER = "Harbor Line Sailing Club <letters@example.com>"
TESTER = "tester@example.com"
SPARE = "spare"  # the mail server to switch to
SENDING, STUCK, PARTIAL = "club-news", "engine-recall", "fortress-tour"
BODY = """<h1>{title}</h1>
<p>Dear {{{{ .Subscriber.FirstName }}}},</p>
<p>{lead}</p>
<p><a href="{{{{ TrackLink "https://example.com/club" . }}}}">More about it</a></p>"""


@dataclass(frozen=True, slots=True)
class Letter:
    """`due`, `began` and `ended` are hours from now; `sent` and `of` its counts."""

    slug: str
    name: str
    subject: str
    lead: str
    to: str  # the list's name
    status: str = "draft"
    due: float | None = None
    began: float | None = None
    ended: float | None = None
    sent: int = 0
    of: int = 0
    template: str = ""
    tags: tuple[str, ...] = ()
    bounces: dict[str, int] = field(default_factory=dict)  # by class


LETTERS = (
    Letter(
        SENDING, "Club news", "News from the harbor", "The new pontoon is in, and the bar is open late.",
        "Newsletter", "running",
    ),
    Letter(
        "regatta-invitation", "Regatta invitation", "Race with us, {{ .Subscriber.FirstName }}",
        "Three races, two buoys, and a prize for the last boat home.", "Members", "scheduled", due=1.5,
    ),
    Letter(
        "harvest-supper", "Harvest supper", "Supper in the boat shed", "Long tables, lanterns, and soup.",
        "Members", "scheduled", due=26,
    ),
    Letter(
        "berth-offer", "Berth offer", "A berth for the winter", "Four berths are left in the lee of the mole.",
        "Members", due=-3,
    ),
    Letter("open-day", "Open day", "Come aboard", "All boats are open to everybody.", "Newsletter"),
    Letter(
        "night-sail", "Night sail", "Out under the stars", "We leave at dusk and come back for breakfast.",
        "Members", "paused", began=-0.6, sent=180, of=412,
    ),
    Letter(
        PARTIAL, "Fortress tour", "Two hundred steps up", "The gate is opened for us alone.",
        "Members", "finished", began=-7, ended=-6.8, sent=371, of=412, tags=("tours",),
        bounces={"hard": 6, "soft": 3, "complaint": 1},
    ),
    Letter(
        "rope-sale", "Rope sale", "Old rope, new price", "By the yard or by the coil.",
        "Newsletter", "finished", began=-50, ended=-49.6, sent=3000, of=3000, bounces={"hard": 4},
    ),
    Letter(
        "mermaid-parade", "Mermaid parade", "Scales and shells", "It rains; there is no parade.",
        "Newsletter", "cancelled", began=-30, ended=-29.9, sent=40, of=3000,
    ),
    Letter(
        STUCK, "Engine recall", "Your outboard is recalled", "Please don't start it before it was looked at.",
        "Members", "running", template="Notices",
    ),
)  # fmt: skip


def lay(standin: StandIn, now: datetime, smtp_port: int) -> User:
    """Fills a stand-in that isn't started; its servers are the one on loopback at `smtp_port`.

    The user who is returned may do all that the console offers.
    """
    servers = [
        settings.smtp_block(host="127.0.0.1", port=smtp_port),
        settings.smtp_block(SPARE, host="127.0.0.1", port=smtp_port, enabled=False),
    ]
    slow = {"app.concurrency": 4, "app.message_rate": 4, "app.batch_size": 50}  # so that a send can be watched
    standin.app.stored.update({"smtp": servers, "app.from_email": SENDER, **slow})
    lists = {
        "Newsletter": standin.add_list("Newsletter", type="public"),
        "Members": standin.add_list("Members", optin="double"),
    }
    _fill(standin, lists["Newsletter"], 3000, "newsletter")
    _fill(standin, lists["Members"], 412, "members")
    _fill(standin, lists["Members"], 30, "waiting", subscription="unconfirmed")
    testers = standin.add_list("Testers")
    standin.add_person(TESTER, testers, name="Tess Ter")
    broken = standin.database.add_template("Notices", '{{ template "content" . }}{{ LegalFooter }}')
    for letter in LETTERS:
        template = broken.id if letter.template else 1
        _add(standin, letter, lists[letter.to], now, template)
    return standin.add_user("console", (*MANAGE, "subscribers:import"))


def _fill(standin: StandIn, to: MailingList, count: int, seed: str, subscription: str = "confirmed") -> None:
    for row in islice(people(f"listmonk-{seed}", count), count):
        email = row["email"].replace("@", f".{seed}@")
        name = f"{row['first_name']} {row['last_name']}"
        standin.add_person(email, to, name=name, subscription=subscription, attribs={"city": row["city"]})


def _add(standin: StandIn, letter: Letter, to: MailingList, now: datetime, template: int) -> None:
    began, ended = _at(now, letter.began), _at(now, letter.ended)
    number = standin.add_campaign(
        letter.name, to, subject=letter.subject, from_email=SENDER, status=letter.status,
        body=BODY.format(title=letter.name, lead=letter.lead), template_id=template, send_at=_at(now, letter.due),
        tags=[f"slug:{letter.slug}", *letter.tags], sent=letter.sent, to_send=letter.of, started_at=began,
    )  # fmt: skip
    base = standin.database
    with base.lock:
        row = base.campaigns[number]
        row.created_at = min(now, began or now) - timedelta(days=2)
        changed = now if letter.slug == SENDING else row.created_at + timedelta(hours=5)
        row.updated_at = ended or began or changed
        mailed = base.audience(row)
        if letter.sent:
            row.max_subscriber_id = mailed[-1]
            row.last_subscriber_id = mailed[-1] if letter.status == "finished" else mailed[letter.sent - 1]
        _bounce(standin, number, mailed, letter.bounces, row.updated_at)


def _bounce(
    standin: StandIn, campaign: int, mailed: Iterable[int], bounces: dict[str, int], at: datetime
) -> None:  # fmt: skip
    everybody = iter(mailed)
    base = standin.database
    for kind, count in bounces.items():
        for number in islice(everybody, count):
            standin.bounce(base.subscribers[number].email, campaign, kind)
            base.bounces[-1].created_at = at


def _at(now: datetime, hours: float | None) -> datetime | None:
    return None if hours is None else now + timedelta(hours=hours)


def table(standin: StandIn, user: User) -> dict[str, Any]:
    """The console's table for it, without the token."""
    return {
        "url": standin.url,
        "user": user.username,
        "testers": [TESTER],
        "fallback_smtp": SPARE,
        "list_every": "10 s",
    }
