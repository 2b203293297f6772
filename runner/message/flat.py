"""Templates of nothing but text and columns, as most are: filled in without running anything."""

from collections.abc import Callable, Collection, Mapping

from jinja2 import nodes


class Flat:
    """`pieces` with an empty one for each slot; `slots` say which piece is whose value, `encode` how it gets in."""

    def __init__(self, pieces: list[str], slots: list[tuple[int, str]], encode: Callable[[str], str]) -> None:
        self._pieces = pieces
        self._slots = slots
        self._encode = encode

    def make(self, row: Mapping[str, str]) -> str:
        pieces, encode = self._pieces.copy(), self._encode
        for at, name in self._slots:
            pieces[at] = encode(row[name])
        return "".join(pieces)


def flat(
    tree: nodes.Template, columns: Collection[str], literal: Callable[[str], str], encode: Callable[[str], str]
) -> Flat | None:
    """None when the template has anything else, such as a filter, a condition or a name that is no column."""
    pieces: list[str] = []
    slots: list[tuple[int, str]] = []
    text = ""
    for statement in tree.body:
        if not isinstance(statement, nodes.Output):
            return None
        for node in statement.nodes:
            if isinstance(node, nodes.TemplateData):
                text += literal(node.data)
            elif isinstance(node, nodes.Name) and node.name in columns:
                slots.append((len(pieces) + 1, node.name))
                pieces += [text, ""]
                text = ""
            else:
                return None
    return Flat([*pieces, text], slots, encode)
