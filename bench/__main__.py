"""`python -m bench [NAME …] [--json FILE]`: run the benchmarks and print one table."""

import argparse
import importlib
import json
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

TOPICS = ("start", "board", "log", "probe", "audit", "commands", "rehearse", "send", "worker")
VERSIONS = ("textual", "paramiko", "sqlmodel", "msgspec")


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("topics", nargs="*", choices=[*TOPICS, []], help="which; all of them by default")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    figures: list[dict[str, Any]] = []
    for topic in options.topics or TOPICS:
        print(f"… {topic}", file=sys.stderr, flush=True)
        figures += importlib.import_module(f"bench.{topic}_bench").run()
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in VERSIONS)
    print(f"Python {platform.python_version()}, {platform.machine()}, {versions}\n")
    print(table(figures))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2, ensure_ascii=False))
    return 0


def table(figures: list[dict[str, Any]]) -> str:
    """The figures as a Markdown table."""
    heads = ("name", "ours", "reference", "ratio", "unit", "goal")
    rows = [heads, tuple("---" for _ in heads)]
    rows += [tuple(str(figure.get(head, "")) for head in heads) for figure in figures]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


if __name__ == "__main__":
    sys.exit(main())
