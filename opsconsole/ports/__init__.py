"""What the console asks of other systems. A backend implements what it can; all calls block and are bounded.

Calls come from the console's own threads, several at once. A call that fails raises `Trouble` (or a subclass);
`MaybeStarted` alone means that mail may have gone out, and then nothing is repeated, only asked about.
"""

from opsconsole.errors import MaybeStarted, NotThere, OutOfReach, Refused, Trouble
from opsconsole.ports.carrier import (
    CampaignFacts,
    Carrier,
    Facts,
    Followed,
    HostView,
    Identified,
    Previews,
    Remembered,
    RunState,
    Source,
    Started,
    Surroundings,
    Verb,
)
from opsconsole.ports.doubts import Doubt, Doubts, EveryUnknown, Fate, Fates, Releases, Unknown, concerned
from opsconsole.ports.keepers import AnchorKeeper, HoldKeeper, RunnerKeeper, Switched, TriggerKeeper
from opsconsole.ports.operating import Operated, Operates, Operation
from opsconsole.ports.telling import Access, AccessView, Completion, Inspected, Mapped, Recorder, Told, Tried

__all__ = [
    "Access",
    "AccessView",
    "AnchorKeeper",
    "CampaignFacts",
    "Carrier",
    "Completion",
    "Doubt",
    "Doubts",
    "EveryUnknown",
    "Facts",
    "Fate",
    "Fates",
    "Followed",
    "HoldKeeper",
    "HostView",
    "Identified",
    "Inspected",
    "Mapped",
    "MaybeStarted",
    "NotThere",
    "Operated",
    "Operates",
    "Operation",
    "OutOfReach",
    "Previews",
    "Recorder",
    "Refused",
    "Releases",
    "Remembered",
    "RunState",
    "RunnerKeeper",
    "Source",
    "Started",
    "Surroundings",
    "Switched",
    "Told",
    "Tried",
    "TriggerKeeper",
    "Trouble",
    "Unknown",
    "Verb",
    "concerned",
]
