"""What the console's token may do on a listmonk, by its own word, and how that token is kept. Looks only."""

from backends.keeping import address, kept, way
from backends.listmonk.client import Client
from backends.listmonk.scopes import beyond
from backends.listmonk.system import SUPER_ADMIN, Profile
from opsconsole.ports import Access
from opsconsole.settings import Listmonk


def access(client: Client, settings: Listmonk) -> tuple[Access, ...]:
    """Raises Trouble."""
    where = address(settings.url)
    return (
        _role(client.profile(), where),
        way(settings.url, where),
        *kept(settings.token, f"listmonk {client.name}"),
    )


def _role(profile: Profile, where: str) -> Access:
    may = ", ".join(sorted(profile.permissions))[:400] or "nothing"
    trouble = ""
    if profile.role_id == SUPER_ADMIN:
        trouble = "It may do everything there: give it a role of its own."
    elif more := beyond(profile):
        trouble = f"It may do more than the console needs ({', '.join(more)}): give it a role of its own."
    return Access(
        kind="role",
        name=f"API user {profile.username[:60]}",
        where=where,
        scope=f"role {profile.role[:60] or 'without a name'}: may {may}",
        trouble=trouble,
    )
