"""A listmonk stand-in for every test that asks for one."""

from tests.listmonk.later import asleep, at, clock
from tests.support.listmonk import standin

__all__ = ["asleep", "at", "clock", "standin"]
