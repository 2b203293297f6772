"""The campaigns of the demo, one for each thing that happens to campaigns. All times are taken from `now`."""

from datetime import datetime
from zoneinfo import ZoneInfo

from backends.embedded.campaigns.story import OFFICE, Board, Fate, Past, Story, ago, on

# Paul Simon's window is 9 to 18 in the first of these zones where it is open and will be for a while.
ZONES = (
    "America/Los_Angeles",
    "America/New_York",
    "Europe/London",
    "Europe/Berlin",
    "Asia/Kolkata",
    "Asia/Tokyo",
    "Pacific/Auckland",
    "Pacific/Honolulu",
)
DUE_MINUTES_AGO = 52
ORPHAN = "pirate-night-2019"  # a cron line without a campaign
SENDING, PAUSED = "lantern-parade", "harbor-swim"  # in a live world; else they are due
STALLED = "charter-season"
FOREIGN = "; rm -rf $HOME"  # a legal name for a folder, and none for a campaign


def open_zone(now: datetime) -> str:
    """A zone where it was past nine 52 minutes ago and an hour is left until six."""
    for zone in ZONES:
        local = now.astimezone(ZoneInfo(zone))
        if 9 * 60 + DUE_MINUTES_AGO + 2 <= local.hour * 60 + local.minute < 17 * 60:
            return zone
    raise AssertionError("the zones go around the world")


def stories(now: datetime) -> tuple[Story, ...]:
    return (*_drills(now), *_upcoming(), *_trouble(), *_done())


def _drills(now: datetime) -> tuple[Story, ...]:
    return (
        Story(
            slug="paul-simon-may12", name="Paul Simon on the pier", subject="{{ first_name }}, Paul Simon sails",
            lead="Paul Simon plays on the north pier, and members hear of it first.",
            due=ago(minutes=DUE_MINUTES_AGO), rows=2601, zone=open_zone(now), window=OFFICE, with_text=True,
            board=Board(status="approved", by="ana", approved=ago(days=3, hours=1), task="t-9a8cae17"),
        ),
        Story(
            slug="birthday-sail-may11", name="Birthday sail", subject="Your birthday sail, {{ first_name }}",
            lead="It is your birthday month. Sail with us, and bring somebody.", due=on(-1, "10:00"), rows=1204,
            window=OFFICE, board=Board(status="approved", by="ana", approved=ago(days=3, hours=2), task="t-71c0"),
        ),
        Story(
            slug="harbor-lights-jul", name="Harbor lights", subject="The harbor, lit from end to end",
            lead="On Saturday every boat in the harbor carries a lantern.", due=ago(hours=4), rows=830,
            past=Past(fate=Fate.ENDED, began=ago(hours=4), seconds=171, by="ben (by hand)"), cron=(ago(hours=-3),),
            board=Board(
                status="sent", by="ana", approved=ago(days=2), task="t-1d40", completed=ago(hours=3.95), seconds=171
            ),
        ),
        Story(
            slug="spring-refit-offer", name="Refit offer", subject="A berth in the refit shed",
            lead="Two berths in the refit shed are free until the end of the month.", due=ago(hours=-2), rows=612,
            greeting="{{ frist_name }}",
            board=Board(status="approved", by="ana", approved=ago(hours=20), task="t-5b22"),
        ),
        Story(
            slug="crew-brunch-invite", name="Crew brunch", subject="Brunch, {{ first_name }}?",
            lead="The crew cooks, you eat. Sunday at eleven on the upper deck.", due=ago(hours=-3), rows=413,
            expected=412, board=Board(
                status="approved", by="li", approved=ago(hours=26), task="t-6e01", recipients=412
            ),
        ),
        Story(
            slug="tall-ships-preview", name="[bold]Tall ships[/bold]", subject="[Sale] [/today] {{ first_name }}",
            lead="Three tall ships come in this week. Half price on their decks, today only.",
            due=ago(hours=-5), rows=240, oddities=True,
            board=Board(status="approved", by="ana", approved=ago(hours=9), task="t-8c19"),
        ),
    )  # fmt: skip


def _upcoming() -> tuple[Story, ...]:
    return (
        Story(
            slug="sunset-cruise-reminder", name="Sunset cruise reminder", subject="Tonight: the sunset cruise",
            lead="We cast off at half past six.", due=ago(minutes=4), rows=318, window=None,
            board=Board(status="approved", by="ana", approved=ago(hours=7), task="t-2f90"),
        ),
        Story(
            slug="lantern-parade", name="Lantern parade", subject="Bring a lantern, {{ first_name }}",
            lead="The parade starts at the boathouse when it is dark.", due=ago(minutes=2), rows=900, max_rate=5,
            board=Board(status="approved", by="li", approved=ago(hours=30), task="t-30aa"),
        ),
        Story(
            slug="harbor-swim", name="Harbor swim", subject="Swim with us on Sunday",
            lead="From the slip to the bell buoy and back.", due=ago(minutes=3), rows=420, max_rate=5,
            board=Board(status="approved", by="ana", approved=ago(hours=28), task="t-31bb"),
        ),
        Story(
            slug="captains-table-june", name="Captain's table", subject="A seat at the captain's table",
            lead="Twelve seats, one long table, and stories that are mostly true.", due=on(1, "10:00"), rows=96,
            window=OFFICE, cron=(on(1, "10:00"),),
            board=Board(status="scheduled", by="ana", approved=ago(days=1), task="t-4471"),
        ),
        Story(
            slug="member-survey-q3", name="Member survey", subject="Five questions, {{ first_name }}",
            lead="Five questions about the season. It takes three minutes.", due=on(2, "09:30"), rows=1930,
            window=OFFICE, cron=(on(2, "09:30"), on(2, "11:00")),
            board=Board(status="scheduled", by="li", approved=ago(days=2), task="t-9d03"),
        ),
        Story(
            slug="client-letter-r3", name="Client letter, third round", subject="A last word on the new berths",
            lead="The third and last letter about the new berths.", due=on(2, "10:00"), rows=830,
            zone="Europe/London", window=OFFICE, series=("client-letter", 3, 3),
            board=Board(status="scheduled", by="ana", approved=ago(days=15), task="t-c303"),
        ),
        Story(
            slug="knots-for-kids", name="Knots for kids", subject="Knots for kids, Saturday",
            lead="Bring a child and two yards of rope.", due=on(3, "10:00"), rows=150, window=OFFICE,
            approved_in_metadata=True,
        ),
        Story(
            slug="winter-storage-letter", name="Winter storage", subject="Where will she spend the winter?",
            lead="The sheds fill up in three weeks.", due=on(3, "11:00"), rows=540, window=OFFICE,
            board=Board(status="draft", task="t-e117", task_status="todo"),
        ),
        Story(
            slug="dock-fee-notice", name="Dock fees", subject="The dock fees for next year",
            lead="The fees change for the first time in four years.", due=ago(hours=6), rows=701,
            board=Board(status="draft", task="t-f0b5", task_status="doing"),
        ),
        Story(
            slug="pier-repairs-notice", name="Pier repairs", subject="The south pier is closed",
            lead="Until the end of the month only the north pier is open.", due=on(4, "10:00"), rows=0,
            board=Board(status="draft", task="t-0c5e", task_status="todo", recipients=380),
        ),
        Story(
            slug="sponsor-thanks", name="Thanks to our sponsors", subject="Thank you",
            lead="None of this would float without you.", due=on(0, "23:30"), rows=64,
            hold="the sponsor asked us to wait for the new logo",
            board=Board(status="approved", by="ana", approved=ago(days=1, hours=4), task="t-7710"),
        ),
    )  # fmt: skip


def _trouble() -> tuple[Story, ...]:
    return (
        Story(
            slug="fleet-week-parking", name="Fleet week parking", subject="Where to park in fleet week",
            lead="The car park behind the chandlery is closed for the parade.", due=ago(minutes=25), rows=377,
            board=Board(status="approved", by="li", approved=ago(days=1), task="t-ab12"),
        ),
        Story(
            slug="tide-tables-june", name="Tide tables", subject="The tide tables for next month",
            lead="High water, low water, and the days to stay ashore.", due=ago(hours=5), rows=1115,
            board=Board(status="approved", by="ana", approved=ago(days=4), task="t-bd20"),
        ),
        Story(
            slug="island-ferry-news", name="Island ferry news", subject="The ferry has a new timetable",
            lead="Two more crossings on weekends.", due=ago(hours=22), rows=1460,
            board=Board(
                status="sent", by="li", approved=ago(days=3), task="t-5512", completed=ago(hours=21.8), seconds=390
            ),
        ),
        Story(
            slug="boat-show-tickets", name="Boat show tickets", subject="Your tickets for the boat show",
            lead="Two tickets, on us.", due=ago(hours=2.5), rows=1750,
            past=Past(fate=Fate.IN_DOUBT, began=ago(hours=2.4), seconds=160, done=700),
            board=Board(status="approved", by="ana", approved=ago(days=2), task="t-9917"),
        ),
        Story(
            slug="charter-season", name="Charter season", subject="The charter season begins",
            lead="Nine boats, forty weeks, and first choice for members.", due=ago(minutes=40), rows=1850,
            past=Past(fate=Fate.STALLED, began=ago(minutes=38), seconds=26 * 60, done=1100),
            board=Board(status="approved", by="li", approved=ago(days=2), task="t-6a6a"),
        ),
        Story(
            slug="moonlight-concert", name="Moonlight concert", subject="Strings on the water",
            lead="A quartet, a barge, and the full moon.", due=ago(hours=20), rows=1204,
            past=Past(fate=Fate.ENDED, began=ago(hours=20), seconds=260, failed=14, rc=1),
            board=Board(status="approved", by="ana", approved=ago(days=4), task="t-4b4b"),
        ),
        Story(
            slug="rope-and-rigging", name="Rope and rigging", subject="A day for rope and rigging",
            lead="Splices, whippings and one very long bowline.", due=ago(hours=8), rows=505,
            past=Past(
                fate=Fate.ENDED, began=ago(hours=8), seconds=4, done=0, rc=69,
                error="ERROR 535 5.7.8 authentication failed",
            ),
            board=Board(status="approved", by="li", approved=ago(days=2), task="t-3c3c"),
        ),
        Story(
            slug="volunteer-call", name="Volunteer call", subject="Can you varnish, {{ first_name }}?",
            lead="The boathouse needs forty hands.", due=ago(minutes=35), rows=288,
            past=Past(fate=Fate.CLAIMED, began=ago(minutes=34)),
            board=Board(status="approved", by="ana", approved=ago(days=1), task="t-2d2d"),
        ),
        Story(
            slug="marina-map-update", name="Marina map", subject="The new map of the marina",
            lead="Berths have new numbers.", due=on(1, "12:00"), rows=910, broken_metadata=True,
            board=Board(status="approved", by="li", approved=ago(hours=11), task="t-1e1e"),
        ),
        Story(
            slug="autumn-haulout", name="Autumn haul-out", subject="Time to haul out",
            lead="The crane is here for one week.", due=on(1, "14:00"), rows=455, without=("blast_data.csv",),
            board=Board(status="approved", by="ana", approved=ago(hours=15), task="t-0f0f"),
        ),
        Story(
            slug="yacht-club-dues", name="Club dues", subject="Your dues", lead="", due=on(1, "15:00"), rows=None,
            board=Board(status="approved", by="ana", approved=ago(hours=13), task="t-1010", recipients=1320),
        ),
    )  # fmt: skip


def _done() -> tuple[Story, ...]:
    return (
        _sent("client-letter-r1", "Client letter, first round", 14, 830, "t-c301", round_=1),
        _sent("client-letter-r2", "Client letter, second round", 7, 830, "t-c302", round_=2),
        _sent("lighthouse-tour", "Lighthouse tour", 3, 644, "t-d101"),
        _sent("oyster-festival", "Oyster festival", 5, 1508, "t-d102", fate=Fate.LOG_ONLY),
        _sent("sailing-school-spring", "Sailing school", 20, 322, "t-d103", cron=True),
        _sent("museum-night", "Museum night", 2, 977, "t-d104", recorded=False),
        Story(
            slug="regatta-parking", name="Regatta parking", subject="Parking at the regatta",
            lead="The regatta moves to October.", due=ago(days=1, hours=3), rows=410,
            board=Board(status="cancelled", by="li", approved=ago(days=5), task="t-d105", completed=ago(days=2)),
        ),
    )  # fmt: skip


def _sent(
    slug: str,
    name: str,
    days: int,
    rows: int,
    token: str,
    *,
    round_: int | None = None,
    fate: Fate = Fate.ENDED,
    cron: bool = False,
    recorded: bool = True,
) -> Story:
    """A campaign that went out as it should, so many days ago at ten."""
    seconds = round(rows * 0.212, 1)
    began = on(-days, "10:00")
    return Story(
        slug=slug,
        name=name,
        subject=f"{name}: what you need to know",
        lead="All you need to know, on one page.",
        due=began,
        rows=rows,
        zone="Europe/London" if round_ else "America/Los_Angeles",
        window=OFFICE,
        series=("client-letter", round_, 3) if round_ else None,
        past=Past(fate=fate, began=began, seconds=seconds, by="cron" if cron else "mara"),
        cron=(began,) if cron else (),
        board=Board(
            status="sent" if recorded else "approved",
            by="ana",
            approved=ago(days=days + 2),
            task=token,
            completed=on(-days, f"10:{int(seconds // 60):02d}") if recorded else None,
            seconds=seconds if recorded else None,
        ),
    )
