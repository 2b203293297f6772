"""What a report says, part by part, whatever it is written as: Markdown, HTML or lines of a terminal. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from opsconsole.redact import visible
from opsconsole.schedule import say_span
from opsconsole.timeline import clean
from opsconsole.verdict import Group, Verdict

LONGEST = 1200
TONES = {Group.ATTENTION: "bad", Group.IN_FLIGHT: "busy", Group.UPCOMING: "plain", Group.DONE: "fine"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One heading and what stands under it, in this order. `rows` have as many cells as `heads`, "–" for none;
    `nothing` is said where there is none of it."""

    title: str
    text: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    heads: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    nothing: str = ""
    labelled: bool = False  # cells need their heads to be understood, also where there is no table

    @property
    def empty(self) -> bool:
        return not (self.text or self.pairs or self.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """`tone` is bad, busy, plain or fine; `stem` is what its files are called by."""

    title: str
    environment: str
    danger: bool
    tone: str
    lead: str  # the status in a word
    sentence: str
    about: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    foot: str
    stem: str


def finished(model: Model) -> Model:
    """Every text of it with secrets out, addresses masked and nothing in it that acts."""
    return replace(
        model,
        title=_clean(model.title),
        environment=_clean(model.environment),
        lead=_clean(model.lead),
        sentence=_clean(model.sentence),
        about=_pairs(model.about),
        sections=tuple(
            replace(
                section,
                text=tuple(map(_clean, section.text)),
                pairs=_pairs(section.pairs),
                rows=tuple(tuple(map(_clean, row)) for row in section.rows),
            )
            for section in model.sections
        ),
        foot=_clean(model.foot),
    )


def _pairs(pairs: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    return tuple((_clean(label), _clean(text)) for label, text in pairs if text)


def _clean(text: str) -> str:
    return clean(text, LONGEST)


def person(name: str) -> str:
    """A person at work by their whole name: not masked, and no address that a reader's program makes a link of."""
    return visible(name, 80).replace("@", " at ") if name else "nobody known"


def say_full(instant: datetime | None, zone: str) -> str:
    """`2026-05-12 10:52:04 PDT`; "not known" for None."""
    if instant is None:
        return "not known"
    return f"{instant.astimezone(ZoneInfo(zone or 'UTC')):%Y-%m-%d %H:%M:%S %Z}"


def say_zones(instant: datetime | None, zone: str) -> str:
    """The instant in the campaign's zone and in UTC."""
    local, utc = say_full(instant, zone), say_full(instant, "UTC")
    return (
        local
        if instant is None or local == utc
        else f"{local} ({instant.astimezone(ZoneInfo('UTC')):%H:%M:%S} UTC)"
    )


def say_heard(observed: datetime | None, at: datetime) -> str:
    """How long before the report's instant something was heard."""
    if observed is None:
        return "never heard"
    age = at - observed
    return "at this instant" if age < timedelta(seconds=1) else f"{say_span(age)} before"


def say_clock(offset: float | None) -> str:
    if offset is None:
        return "clock not measured"
    if abs(offset) < 0.05:
        return "clock right"
    return f"clock {abs(offset):.1f} s {'ahead' if offset > 0 else 'behind'}"


def chain_pairs(seq: int, mac: str, whole: bool | None, why: str) -> tuple[tuple[str, str], ...]:
    """The audit head, so that the report is an anchor too."""
    if not seq and whole is not False:
        return (("The chain", f"not looked at: {why}" if whole is None else "the store holds no record yet"),)
    said = {
        True: f"whole: the seal of every record up to {seq:,} holds",
        False: f"NOT WHOLE: {why}. Keep the store as it is; don't repair it",
        None: f"not looked at: {why}",
    }[whole]
    return (
        ("Newest record", f"{seq:,}"),
        ("Its seal (MAC)", mac),
        ("The chain", said),
        ("Also", why if whole and why else ""),
        ("To check", "opsconsole audit verify; the record of this number must carry this seal"),
    )


def tone_of(verdict: Verdict) -> str:
    return TONES[verdict.group]
