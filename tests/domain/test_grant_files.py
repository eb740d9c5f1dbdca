"""Files of grants: what is written is read, however a spreadsheet writes it, and what is not understood is named."""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jangbu.domain.grant_files import LINES_MAX, GrantFile, GrantLine, read, text_of
from jangbu.domain.grant_flaws import Flaw
from jangbu.domain.ledger import TOKENS_MAX
from jangbu.domain.windows import zone_named

UTC_ZONE, SEOUL = zone_named("UTC"), zone_named("Asia/Seoul")
PLAIN = "user,tokens\nkim,100\n이서연,2000\n"
LINES = (GrantLine(2, "kim", 100), GrantLine(3, "이서연", 2_000))


def flaws(text: str | None) -> list[tuple[int, Flaw]]:
    return [(each.line, each.flaw) for each in read(text, UTC_ZONE).problems]


def of_bytes(data: bytes) -> GrantFile:
    return read(text_of(data), UTC_ZONE)


@pytest.mark.parametrize(
    "data",
    [
        PLAIN.encode(), PLAIN.encode("utf-8-sig"), PLAIN.encode("cp949"), PLAIN.encode("utf-16"),
        b"\xfe\xff" + PLAIN.encode("utf-16-be"),
        PLAIN.replace("\n", "\r\n").encode(), PLAIN.replace("\n", "\r").encode(),
        PLAIN.replace(",", ";").encode("cp949"), PLAIN.replace(",", "\t").encode(),
        PLAIN.replace(",100", ',"100"').encode(), b'"User", TOKENS \nkim,100\n' + "이서연,2_000".encode(),
        "user;tokens;source;\nkim;100;;\n이서연;\"2,000\"\n".encode("utf-8-sig"),
        b"amount,user\n100,kim\n" + "2000,이서연".encode(),
    ],
    ids=range(13),
)  # fmt: skip
def test_a_file_is_read_however_a_spreadsheet_writes_it(data: bytes) -> None:
    assert of_bytes(data) == GrantFile(LINES, ())


def test_empty_lines_count_for_the_number_of_a_line_and_for_nothing_else() -> None:
    assert read("\n\nuser,tokens\n\nkim,100\n,\n;;\n", UTC_ZONE).problems[0].line == 7
    assert read("\n\nuser,tokens\n\nkim,100\n ,\n", UTC_ZONE) == GrantFile((GrantLine(5, "kim", 100),), ())


def test_all_that_a_single_grant_takes_stands_in_columns_of_the_same_names() -> None:
    text = "user,amount,expires_at,priority,source\nkim,100,2099-01-31T09:00:00+09:00,-1,gift\nlee,5,2099-01-31,,\n"
    ends = datetime(2099, 1, 31, tzinfo=UTC)
    lines = GrantLine(2, "kim", 100, "gift", -1, ends), GrantLine(3, "lee", 5, "purchase", 0, ends)
    assert read(text, UTC_ZONE) == GrantFile(lines, ())
    assert read(text.replace("expires_at", "expires").replace("amount", "tokens"), UTC_ZONE) == GrantFile(lines, ())
    assert [each.expires_at for each in read(text, SEOUL).lines] == [ends, ends - timedelta(hours=9)]


@pytest.mark.parametrize(
    ("text", "flaw"),
    [
        ("", Flaw.HEADER), ("kim,100", Flaw.HEADER), ("user", Flaw.HEADER), ("user,token\nkim,5", Flaw.HEADER),
        ("user,tokens,expiry\nkim,5,", Flaw.HEADER), ("user,tokens,amount\nkim,5,5", Flaw.HEADER),
        ("user,user,tokens\nkim,kim,5", Flaw.HEADER), ("user,tokens,,source\nkim,5,,", Flaw.HEADER),
        ("user,tokens", Flaw.EMPTY), ("user,tokens\n,\n", Flaw.EMPTY), (None, Flaw.ENCODING),
    ],
)  # fmt: skip
def test_a_file_of_which_nothing_can_be_made_is_refused_at_its_first_line(text: str | None, flaw: Flaw) -> None:
    assert flaws(text) == [(1, flaw)]
    assert read(text, UTC_ZONE).lines == ()


@pytest.mark.parametrize(
    ("line", "flaw"),
    [
        ("lee,0", Flaw.TOKENS), ("lee,-5", Flaw.TOKENS), ("lee,1.0", Flaw.TOKENS), ("lee,1E+06", Flaw.TOKENS),
        ("lee,", Flaw.TOKENS), ("lee", Flaw.TOKENS), ("lee,٣", Flaw.TOKENS), ('lee,"1,5"', Flaw.TOKENS),
        (f"lee,{TOKENS_MAX + 1}", Flaw.TOKENS), ("lee," + "9" * 400, Flaw.TOKENS), ("lee,=1+1", Flaw.TOKENS),
        (",5", Flaw.USER), ("x" * 201 + ",5", Flaw.USER), ("l\u202ee,5", Flaw.USER), ('"l\nee",5', Flaw.USER),
        ("kim,5", Flaw.TWICE), ("lee,5,tomorrow", Flaw.EXPIRES), ("lee,5,2099-02-30", Flaw.EXPIRES),
        ("lee,5,9999-12-31", Flaw.EXPIRES), ("lee,5,0001-01-01", Flaw.EXPIRES),
        ("lee,5,0001-01-01T00:00:00+09:00", Flaw.EXPIRES), ("lee,5,2099-01-31T09:00:00", Flaw.NO_ZONE),
        ("lee,5,2099-01-31t18:00", Flaw.NO_ZONE), ("lee,5,2099-01-31_18:00", Flaw.EXPIRES),
        ("lee,5,2099-01-31+09:00", Flaw.EXPIRES), ("lee,5,2099-01-31_18:00Z", Flaw.EXPIRES),
        ("lee,5,20990131", Flaw.EXPIRES), ("lee,5,2099-W05-6", Flaw.EXPIRES),
        ("lee,5,,first", Flaw.PRIORITY), ("lee,5,,000", Flaw.PRIORITY), ("lee,5,,2147483648", Flaw.PRIORITY),
        ("lee,5,,,g\x07ift", Flaw.SOURCE), ("lee,5,,," + "s" * 201, Flaw.SOURCE),
        ("lee,5,,,500", Flaw.SOURCE), ("lee,5,,,gift,more", Flaw.CELLS),
        ("lee,1,000,,gift,1", Flaw.CELLS),
        ('lee,"5', Flaw.QUOTES), ('"l"ee,5', Flaw.QUOTES),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line_and_what_to_do(line: str, flaw: Flaw) -> None:
    found = read(f"user,tokens,expires,priority,source\nkim,5\n{line}\n", UTC_ZONE)
    [problem] = found.problems
    assert (problem.line, problem.flaw) == (3, flaw)
    assert [each.user for each in found.lines] == ["kim"]
    assert problem.message.isprintable()
    assert problem.hint
    assert "{" not in problem.message + problem.hint


@pytest.mark.parametrize(
    "written", ["2099-01-31T18:00+09:00", "2099-01-31t09:00:00z", "2099-01-31 18:00:00.0+0900", " 2099-01-31T09:00Z "]
)
def test_an_expiry_with_a_clock_is_of_the_zone_that_it_names(written: str) -> None:
    [line] = read(f"user,tokens,expires\nkim,5,{written}\n", SEOUL).lines
    assert (line.expires_at, line.expires) == (datetime(2099, 1, 31, 9, tzinfo=UTC), written.strip())


@pytest.mark.parametrize(
    ("head", "line"),
    [
        ("user,tokens,priority", "kim,1,500"), ("user,tokens,source", "kim,1,500"),
        ("user,tokens,expires", "kim,1,500"),
        ("user,tokens,priority,source", "kim,1,500,000"), ("user,tokens,source", "kim,999, 000"),
        ("tokens,user,source", "1,500,kim"), ("user,tokens,priority", 'kim,"1","500"'),
    ],
)  # fmt: skip
def test_thousands_that_commas_may_have_parted_are_refused(head: str, line: str) -> None:
    [problem] = read(f"{head}\n{line}\n", UTC_ZONE).problems
    assert (problem.line, problem.flaw) == (2, Flaw.PARTED)
    assert problem.values["whole"] in {"1500", "999000"}


def test_an_amount_and_a_priority_that_commas_have_not_parted_are_read() -> None:
    lines = read('user;tokens;priority\nkim;1;500\nlee;"1,500";500\n', UTC_ZONE).lines
    assert [(each.amount, each.priority) for each in lines] == [(1, 500), (1_500, 500)]
    for line in ('kim,"1,500",500', "kim,1500,500", "kim,1,50", "kim,1,5000", "kim,1,-500"):
        assert read(f"user,tokens,priority\n{line}\n", UTC_ZONE).problems == ()


def test_all_that_is_wrong_is_named_at_once() -> None:
    text = "user,tokens,expires,priority\nkim,0,x,y\nlee,5\nkim,5\nlee,1.5\n"
    assert flaws(text) == [
        (2, Flaw.TOKENS), (2, Flaw.PRIORITY), (2, Flaw.EXPIRES), (4, Flaw.TWICE), (5, Flaw.TWICE), (5, Flaw.TOKENS),
    ]  # fmt: skip
    assert [each.user for each in read(text, UTC_ZONE).lines] == ["lee"]


def test_a_user_id_is_taken_as_it_stands() -> None:
    found = read('user,tokens\n" kim",1\nkim ,2\nkim,3\nKIM,4\n"k,i""m",5\n\'=kim,6\n', UTC_ZONE)
    assert [each.user for each in found.lines] == [" kim", "kim ", "kim", "KIM", 'k,i"m', "'=kim"]


def test_a_file_has_so_many_lines_and_no_more() -> None:
    lines = "".join(f"user-{number},1\n" for number in range(LINES_MAX))
    assert len(read(f"user,tokens\n{lines}", UTC_ZONE).lines) == LINES_MAX
    assert flaws(f"user,tokens\n{lines}one-more,1\n") == [(LINES_MAX + 2, Flaw.TOO_MANY)]


def test_what_is_no_text_is_told_and_a_character_that_was_lost_is_found() -> None:
    assert text_of(b"user,tokens\n\xff\xff,1") is None
    assert flaws("user,tokens\nkim,5\n\ufffd\ufffd,5") == [(3, Flaw.ENCODING)]


def test_cp949_is_taken_for_utf_8_only_where_nothing_tells_the_two_apart() -> None:
    taken_for_another = set[str]()
    for syllable in map(chr, range(0xAC00, 0xD7A4)):
        found = text_of(f"user,tokens\n{syllable},5\n".encode("cp949"))
        assert found is not None
        user = found.splitlines()[1].partition(",")[0]
        if user != syllable:
            assert (len(user), ord(user) in range(0xA0, 0x250)) == (1, True)
            taken_for_another.add(syllable)
    assert len(taken_for_another) == 314
    assert {"홍", "천", "철"} <= taken_for_another
    for lines in ("홍길동,5", "혖,5", "홍,5\n이,5"):
        assert text_of(f"user,tokens\n{lines}\n".encode("cp949")) == f"user,tokens\n{lines}\n"


CELLS = st.text(st.characters(codec="utf-8"), max_size=12)
USERS = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=20).filter(
    lambda text: text.isprintable() and "\ufffd" not in text and text.strip()
)
MOMENTS = st.datetimes(datetime(2000, 1, 2), datetime(8999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
GRANTS = st.builds(
    GrantLine, st.just(0), USERS, st.integers(1, TOKENS_MAX), st.sampled_from(["purchase", "gift", "선물"]),
    st.integers(-(2**31), 2**31 - 1), st.none() | MOMENTS,
)  # fmt: skip


@given(
    grants=st.lists(GRANTS, min_size=1, max_size=20, unique_by=lambda each: each.user),
    separator=st.sampled_from(",;\t"),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_whatever_is_written_is_read_again(grants: list[GrantLine], separator: str, end: str, encoding: str) -> None:
    page = io.StringIO(newline="")
    writer = csv.writer(page, delimiter=separator, lineterminator=end)
    writer.writerow(["user", "tokens", "expires", "priority", "source"])
    for each in grants:
        ends = "" if each.expires_at is None else each.expires_at.isoformat()
        writer.writerow([each.user, each.amount, ends, each.priority, each.source])
    found = of_bytes(page.getvalue().encode(encoding))
    assert found.problems == ()
    said = [(each.user, each.amount, each.source, each.priority, each.expires_at) for each in grants]
    assert [(each.user, each.amount, each.source, each.priority, each.expires_at) for each in found.lines] == said


@given(data=st.binary(max_size=300) | st.lists(CELLS).map(lambda cells: ("user,tokens\n" + ",".join(cells)).encode()))
def test_whatever_is_given_is_read_or_refused_and_nobody_stands_twice(data: bytes) -> None:
    found = of_bytes(data)
    assert found.lines or found.problems
    assert all(0 < each.amount <= TOKENS_MAX for each in found.lines)
    if not found.problems:
        assert len({each.user for each in found.lines}) == len(found.lines)
