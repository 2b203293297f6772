"""What `opsconsole doctor` tells of a listmonk: reached, allowed, lacking. Looks only."""

from collections.abc import Iterator

from backends.listmonk.client import LOOKS_IN, Client
from backends.listmonk.mailservers import named
from backends.listmonk.scopes import OPTIONAL, READING, SENDING, beyond, lacking
from backends.listmonk.system import Config, Profile, Tuning
from opsconsole.ports import Told
from opsconsole.schedule import say_span
from opsconsole.settings import Listmonk

OLDEST = (6, 1)  # the first with campaigns:send


def inspect(client: Client, settings: Listmonk) -> tuple[Told, ...]:
    """Raises Trouble when it can't be reached at all, or takes no token."""
    profile, config = client.profile(), client.config()
    tuning = client.tuning() if profile.may(*LOOKS_IN) else None
    return (
        Told(says=f"answers as version {config.version or 'unknown'}, at {settings.url.rstrip('/')}"),
        *_version(config),
        *_scopes(profile, settings),
        *_clock(client.clock_offset),
        *_state(config),
        *_sending(tuning, settings),
        *_config(settings),
    )


def _version(config: Config) -> Iterator[Told]:
    numbers = config.version.lstrip("v").split(".")
    if len(numbers) < 2 or not all(part.isdecimal() and len(part) < 6 for part in numbers[:2]):
        yield Told(says="which version it is can't be told: this was written for 6.2", warn=True)
    elif (int(numbers[0]), int(numbers[1])) < OLDEST:
        yield Told(says="it is older than 6.1, which has no permission to send apart from that to edit", ok=False)


def _scopes(profile: Profile, settings: Listmonk) -> Iterator[Told]:
    role = f"the role {profile.role!a}" if profile.role else "its role"
    yield Told(says=f"the token is that of {profile.username[:60]}, with {role}")
    if profile.username != settings.user:
        yield Told(says=f"the config calls the user {settings.user}: correct it", warn=True)
    for scope in lacking(profile, READING):
        yield Told(says=f"lacks {' or '.join(scope.any_of)}: needed {scope.what_for}", ok=False)
    for scope in lacking(profile, SENDING):
        yield Told(says=f"may only look: it lacks {' or '.join(scope.any_of)}, needed {scope.what_for}", warn=True)
    for scope in lacking(profile, OPTIONAL):
        yield Told(says=f"without {' or '.join(scope.any_of)}: {scope.what_for}", warn=True)
    if more := beyond(profile):
        yield Told(says=f"may more than anything here needs: {', '.join(more)}", warn=True)
    if profile.role_id == 1:
        yield Told(says="is a super admin: give it a role of its own, with what docs/listmonk.md names", warn=True)


def _clock(off: float | None) -> Iterator[Told]:
    if off is None:
        yield Told(says="tells no time: whether its clock is right isn't known", warn=True)
    elif abs(off) >= 2:
        yield Told(says=f"its clock is {abs(off):.0f} s {'ahead' if off > 0 else 'behind'}", warn=True)


def _state(config: Config) -> Iterator[Told]:
    if config.needs_restart:
        yield Told(says="has settings that aren't in force before a restart", warn=True)
    if not config.messengers:
        yield Told(says="has no messenger: it can send nothing", ok=False)


def _sending(tuning: Tuning | None, settings: Listmonk) -> Iterator[Told]:
    if tuning is None:
        return
    window = f", {tuning.window_rate:,} in {say_span(tuning.window)}" if tuning.window else ""
    yield Told(says=f"sends at most {tuning.rate:g} a second{window}, in batches of {tuning.batch_size:,}")
    if not settings.provider_rate:
        yield Told(
            says="provider_rate isn't set: nothing compares its rate with what the provider takes", warn=True
        )
    if not tuning.bounces:
        yield Told(says="doesn't process bounces: there are none to be seen", warn=True)
    if settings.fallback_smtp and named(tuning.smtp, settings.fallback_smtp) is None:
        yield Told(
            says=f"has no mail server called {settings.fallback_smtp}: fallback_smtp can't be used", ok=False
        )


def _config(settings: Listmonk) -> Iterator[Told]:
    if not settings.testers:
        yield Told(says="testers isn't set: a dry run sends no test mail", warn=True)
