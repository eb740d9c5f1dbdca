"""A page as it was sent, read by a machine: its tiles, its tables, and where they lead."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from html.parser import HTMLParser

__all__ = ["Node", "Row", "Table", "read"]

_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}


@dataclass
class Node:
    """An element, and what is in it."""

    tag: str
    attributes: dict[str, str]
    inside: "list[Node | str]" = field(default_factory=list)

    def all(self, tag: str, **attributes: str) -> "Iterator[Node]":
        """Give the elements within that have a tag and these attributes; classes need to be among others only."""
        for each in self.inside:
            if isinstance(each, Node):
                if each.tag == tag and all(each._has(name, value) for name, value in attributes.items()):
                    yield each
                yield from each.all(tag, **attributes)

    def one(self, tag: str, **attributes: str) -> "Node":
        """Give the one such element."""
        [found] = self.all(tag, **attributes)
        return found

    @property
    def text(self) -> str:
        """What people read of it."""
        return " ".join("".join(each if isinstance(each, str) else each.text for each in self.inside).split())

    @cached_property
    def tiles(self) -> dict[str, str]:
        """What each tile shows exactly, by its name."""
        tiles = self.all("div", class_="tile")
        return {each.one("dt").text: next(_titled(each.one("dd"))) for each in tiles}

    @property
    def tables(self) -> "list[Table]":
        """All tables, in order."""
        return [Table(each) for each in self.all("table")]

    def table_of(self, named: str) -> "Table":
        """Give the one table in what is labelled by an id, as a chart or a section is."""
        [labelled] = [each for tag in ("figure", "section") for each in self.all(tag, aria_labelledby=named)]
        return Table(labelled.one("table"))

    def _has(self, name: str, value: str) -> bool:
        kept = self.attributes.get(name.rstrip("_").replace("_", "-"), "")
        return value in kept.split() if name == "class_" else kept == value


@dataclass(frozen=True)
class Row:
    """A line of a table: its name, where that leads to, and its cells."""

    name: str
    link: str
    cells: tuple[str, ...]


class Table:
    """A table of figures."""

    def __init__(self, node: Node) -> None:
        self.heads = tuple(each.text for each in node.one("thead").all("th"))
        self.rows = tuple(_row(each) for each in node.one("tbody").all("tr"))
        foot = [_row(row) for each in node.all("tfoot") for row in each.all("tr")]
        self.total = foot[0].cells if foot else ()

    def column(self, head: str) -> dict[str, str]:
        """Give a column's cells by the names of their lines."""
        place = self.heads.index(head) - 1
        return {row.name: row.cells[place] for row in self.rows}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Node("document", {})
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, {name: value or "" for name, value in attrs})
        self._open[-1].inside.append(node)
        if tag not in _VOID:
            self._open.append(node)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().tag == tag, f"</{tag}> ends what was not begun"

    def handle_data(self, data: str) -> None:
        self._open[-1].inside.append(data)


def read(text: str) -> Node:
    """Read a page, in which every element has to be ended in its place."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    assert reader._open == [reader.root]
    return reader.root


def _titled(node: Node) -> Iterator[str]:
    for tag in ("a", "span"):
        yield from (each.attributes["title"] for each in node.all(tag) if "title" in each.attributes)


def _row(node: Node) -> Row:
    head = next(node.all("th"))
    links = [each.attributes["href"] for each in head.all("a")]
    return Row(head.text, links[0] if links else "", tuple(each.text for each in node.all("td")))
