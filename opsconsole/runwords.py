"""What a run says of itself, in short words."""

from opsconsole.case import say_counts
from opsconsole.runlog import DRY_RUN, RunEvent


def say_event(event: RunEvent) -> str:
    """A line of our runner in short words: `sending 1,587 of 2,601 accepted, 3 failed, 40 s left`. Not masked."""
    parts = [say_counts(event.counts)] if event.counts and event.counts.total else []
    if event.ends:
        head = "dry run ended" if event.mode == DRY_RUN else "run ended"
        parts += [f"exit code {event.rc}"] if event.rc is not None else []
        return ": ".join(filter(None, (head, ", ".join(parts))))
    parts += [f"{event.rate_1s:,.1f}/s"] if event.rate_1s else []
    parts += [f"{event.eta_s:.0f} s left"] if event.eta_s else []
    parts += [f"last error {event.error}"] if event.error else []
    head = f"{event.why}:" if event.why and parts else event.why or event.state or "working"
    return " ".join(filter(None, (head, ", ".join(parts))))
