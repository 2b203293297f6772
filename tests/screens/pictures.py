"""Pictures of the board for the documents: `python -m tests.screens.pictures docs/images`."""

import asyncio
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.screens.night import believable

CELL = 12.2  # width of a cell in the pictures Textual makes


def plain(svg: str) -> str:
    """The picture without fonts from elsewhere, and no space at the start or end of a text (viewers trim it)."""
    svg = re.sub(r"@font-face\s*\{.*?\}\s*", "", svg, flags=re.S)
    svg = svg.replace("Fira Code,", "Fira Code, DejaVu Sans Mono,")

    def pieces(match: re.Match[str]) -> str:
        head, x, middle, tail, text = match.groups()
        words = text.replace("&#160;", "\u00a0")
        cells = re.sub(r"&[^;]+;", "x", words)
        made = []
        for piece in re.finditer(r"\S+(?:\u00a0\S+)*", cells):
            part = _slice(words, piece.start(), piece.end())
            length = (piece.end() - piece.start()) * CELL
            made.append(
                f'{head}x="{float(x) + piece.start() * CELL:g}"{middle}textLength="{length:g}"{tail}{part}</text>'
            )
        return "".join(made)

    return re.sub(r'(<text [^>]*?)x="([\d.]+)"([^>]*?)textLength="[\d.]+"([^>]*>)([^<]*)</text>', pieces, svg)


def _slice(words: str, start: int, end: int) -> str:
    """Characters `start` to `end`, each entity counted as one."""
    return "".join(re.findall(r"&[^;]+;|.", words, flags=re.S)[start:end])


async def picture(size: tuple[int, int], keys: Sequence[str] = ()) -> str:
    """The board on a believable night, after `keys`."""
    with tempfile.TemporaryDirectory() as folder:
        app = believable(Path(folder)).app()
        async with app.run_test(size=size, notifications=True) as pilot:
            for _ in range(100):
                await pilot.pause(0.05)
                if app.console_ready and any(s.name == "console" for s in app.board.sources):
                    break
            for key in keys:
                await pilot.press(key)
                await pilot.pause(0.3)
            return plain(app.export_screenshot(title="opsconsole"))


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    size = sys.argv[2] if len(sys.argv) > 2 else ""
    if size:
        width, height = map(int, size.split("x"))
        (folder / "picture.svg").write_text(asyncio.run(picture((width, height), sys.argv[3:])))
        return
    (folder / "board.svg").write_text(asyncio.run(picture((160, 44))))
    (folder / "board-80x24.svg").write_text(asyncio.run(picture((80, 24), ("down",) * 4)))


if __name__ == "__main__":
    main()
