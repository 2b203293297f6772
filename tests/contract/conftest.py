"""Which backends the contract is held against."""

import importlib
from collections.abc import Iterator

import pytest

from tests.contract.bench import Bench

BENCHES = {
    "blasthost": "tests.contract.on_host:HostBench",
    "listmonk": "tests.contract.on_listmonk:ListmonkBench",
    "serverless": "tests.contract.on_aws:AwsBench",
    "example": "tests.contract.on_example:SpoolBench",
}


@pytest.fixture(
    scope="module",
    params=[pytest.param(kind, marks=() if kind == "example" else pytest.mark.slow) for kind in BENCHES],
)
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One system for all tests of a module: each makes campaigns of its own."""
    module, _, name = BENCHES[request.param].partition(":")
    made: Bench = getattr(importlib.import_module(module), name)(tmp_path_factory.mktemp("bench"))
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(autouse=True)
def pace(bench: Bench) -> Iterator[None]:
    yield
    bench.quickly()
