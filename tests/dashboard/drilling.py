"""The figures of a page as it is served, where each leads to, and what the records there add up to."""

import csv
import io
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from playwright.async_api import Page

from tests.dashboard.obeying import whole
from tests.dashboard.shown import Node, Table, read

COLUMNS = {"Calls", "Tokens", "Average", "Cost"}
"""Of the user's table of services, which is called as the chart of the cost page is."""
FIGURE, NUMBER = re.compile(r"[0-9]"), re.compile(r"[0-9,]+")


@dataclass(frozen=True)
class Figure:
    """A figure: in which part of a page and under which name it stands, what it says, and where it leads to: itself, or
    the line that it stands in.
    """

    part: str
    name: str
    said: str
    link: str = ""
    line: str = ""


@dataclass(frozen=True)
class Lead:
    """A link, and the figures that it leads from, by their names."""

    link: str
    figures: Mapping[str, str]

    def number(self, name: str) -> int:
        return whole(self.figures[name])


def figures_of(page: Node) -> Iterator[Figure]:
    """Give all figures: of tiles, of facts that are numbers, and of all columns of tables that hold figures."""
    for tile in page.all("div", class_="tile"):
        place = tile.one("dd")
        if FIGURE.search(said := next(iter(Node("", {}, [tile]).tiles.values()))):
            yield Figure("tile", tile.one("dt").text, said, _link(place))
    for facts in page.all("dl", class_="facts"):
        for name, fact in zip(facts.all("dt"), facts.all("dd"), strict=True):
            if NUMBER.fullmatch(fact.text):
                yield Figure("fact", name.text, fact.text, _link(fact))
    for counts in page.all("ul", class_="counts"):
        for link in counts.all("a"):
            yield Figure("count", "kind", link.text.rpartition(": ")[2], link.attributes["href"])
    for tag in ("section", "figure"):
        for part in page.all(tag):
            if (title := part.attributes.get("aria-labelledby")) is not None:
                for table in part.all("table"):
                    yield from _of_table(title.removesuffix("-title"), table)


def leads_of(page: Node) -> dict[str, list[Lead]]:
    """Give the links that figures lead along, by where they stand: a part of the page, and a name where it has many."""
    leads: dict[str, dict[tuple[str, str], dict[str, str]]] = {}
    for figure in figures_of(page):
        if figure.link:
            own = leads.setdefault(f"{figure.part}: {figure.name}", {})
            own[figure.link, figure.said] = {figure.name: figure.said}
        elif figure.line:
            leads.setdefault(figure.part, {}).setdefault((figure.line, ""), {})[figure.name] = figure.said
    return {key: [Lead(link, figures) for (link, _), figures in found.items()] for key, found in leads.items()}


def unled(page: Node) -> set[str]:
    """Give where the figures stand that lead nowhere; nothing leads to no records."""
    return {
        f"{each.part}: {each.name}" for each in figures_of(page) if not (each.link or each.line or each.said == "0")
    }


def _of_table(part: str, table: Node) -> Iterator[Figure]:
    heads = list(table.one("thead").all("th"))
    for group in ("tbody", "tfoot"):
        for row in (row for each in table.all(group) for row in each.all("tr")):
            cells = [each for each in row.inside if isinstance(each, Node)]
            spans = sum(int(each.attributes.get("colspan", "1")) - 1 for each in cells)
            for head, cell in zip(heads[spans:], cells, strict=True):
                is_figure = "figure" in cell.attributes.get("class", "").split()
                if is_figure and FIGURE.search(cell.text):
                    name = _name(part, head is heads[-1], head.text)
                    line = "" if cell is cells[0] else _link(cells[0])
                    yield Figure(part, f"{name} in all" if group == "tfoot" else name, cell.text, _link(cell), line)


def _name(part: str, is_last: bool, head: str) -> str:
    """Name a column; those of charts, of the matrix and of the year are models, services and days."""
    if part in {"by-model", "by-kind", "by-day", "matrix", "year"} or (part == "by-service" and head not in COLUMNS):
        return "total" if is_last else "part"
    return head


def _link(place: Node) -> str:
    return next((each.attributes["href"] for each in place.all("a")), "")


class Reader:
    """Reads pages as they are served, as the member who signed in to a browser; nothing is drawn, so that many are read
    in the time that one is shown in.
    """

    def __init__(self, page: Page, content: str) -> None:
        self._page = page
        self.url = page.url
        self.content = content
        """The page that was opened last."""

    @classmethod
    async def of(cls, page: Page) -> "Reader":
        """Begin at the page that a browser shows."""
        return cls(page, await page.content())

    async def open(self, link: str) -> None:
        self.content = await fetched(self._page, link)
        self.url = link

    async def beside(self, link: str) -> str:
        """Give what is at an address, without leaving the page."""
        return await fetched(self._page, link)


async def follow(reader: Reader, link: str) -> Node:
    """Open where a link leads to."""
    await reader.open(link)
    return read(reader.content)


async def paged(reader: Reader, link: str, part: str) -> AsyncIterator[Table]:
    """Follow a link to a list, and give its tables from page to page; the reader stays at the first one."""
    shown = await follow(reader, link)
    while True:
        yield shown.table_of(part)
        [section] = shown.all("section", aria_labelledby=part)
        following = [each.attributes["href"] for each in section.all("a", rel="next")]
        if not following:
            return
        shown = read(await reader.beside(following[0]))


async def fetched(page: Page, link: str) -> str:
    """Give what is at an address, as it is served to who signed in to a browser."""
    here = urlsplit(page.url)
    answer = await page.request.get(f"{here.scheme}://{here.netloc}{link}")
    assert answer.status == 200, link
    return await answer.text()


async def calls_listed(reader: Reader, link: str) -> tuple[int, int]:
    """Give how many calls are listed where a link leads to, and their tokens."""
    calls = tokens = 0
    async for table in paged(reader, link, "calls"):
        listed = table.heads.index("Total tokens") - 1
        calls += len(table.rows)
        tokens += sum(whole(row.cells[listed]) for row in table.rows)
    return calls, tokens


async def calls_in_file(reader: Reader) -> tuple[int, int, int]:
    """Give the calls, tokens and cost of the file of calls that the open page gives."""
    links = [each.attributes["href"] for each in read(reader.content).all("a")]
    [file] = [link for link in links if "/calls.csv" in link and "bom=" not in link]
    lines = list(csv.DictReader(io.StringIO(await reader.beside(file))))
    tokens, cost = (sum(int(each[name] or 0) for each in lines) for name in ("total_tokens", "cost_nano"))
    return len(lines), tokens, cost
