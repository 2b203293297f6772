"""A listmonk stand-in for every test that asks for one."""

from tests.support.listmonk import standin

__all__ = ["standin"]
