"""An exported history is whole, or says where it is not: whatever is done to its bytes."""

import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jangbu.domain.chain import FIRST, Link
from jangbu.domain.ledger import Asset
from jangbu.errors import IntegrityMismatch, InvalidInput, InvalidSettings
from jangbu.metering.export import export
from jangbu.metering.export_check import Checked, check
from jangbu.metering.export_lines import End, closing, entry, header, line_of, root
from jangbu.metering.signing import ALGORITHM, Signer
from jangbu.storage.database import Database
from tests.metering.traffic import KIM, LEE, PROJECT, Shop, open_shop

OF_KIM = f"account_id = (SELECT account_id FROM jangbu.accounts WHERE user_id = '{KIM}' AND project = '{PROJECT}')"


@pytest.fixture
def template(traded: str) -> str:
    return traded


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    async with open_shop(database) as opened:
        yield opened


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return Signer.read_or_make(tmp_path / "keys" / "signing.pem")


@pytest.fixture
async def lines(shop: Shop, signer: Signer) -> Sequence[bytes]:
    return await exported(shop, KIM, signer)


async def exported(shop: Shop, user: str, signer: Signer | None) -> list[bytes]:
    account = shop.accounts.id_of(user)
    return [line async for line in export(shop.database, account, project=PROJECT, user=user, signer=signer)]


def read(lines: Sequence[bytes], signed_by: str | None = None) -> Checked:
    """Check bytes as a file gives them: split at line feeds."""
    return check(BytesIO(b"".join(lines)), signed_by=signed_by)


def closed_anew(lines: Sequence[bytes], signer: Signer) -> list[bytes]:
    """Give entries with all hashes, the root and the signature made anew, as one who rewrites a history would."""
    chains: dict[Asset, tuple[int, bytes]] = dict.fromkeys(Asset, (0, FIRST))
    written = [lines[0]]
    for line in lines[1:-1]:
        facts = json.loads(line)
        asset = Asset[facts["asset"].upper()]
        link = Link(
            UUID(json.loads(lines[0])["account_id"]), asset, facts["seq"], facts["kind"], facts["delta"],
            facts["balance_after"], facts["posting"], facts["reference"] and UUID(facts["reference"]),
            facts["reason"], datetime.fromisoformat(facts["created_at"]),
        )  # fmt: skip
        digest = link.hash_after(chains[asset][1])
        chains[asset] = (link.seq, digest)
        written.append(line_of(facts | {"hash": digest.hex()}) + b"\n")
    ends = [End(asset, *chains[asset]) for asset in Asset]
    first = lines[0].removesuffix(b"\n")
    signature = {"public_key": signer.public_key, "signature": signer.sign(root(first, ends))}
    return [*written, line_of(closing(first, ends) | {"algorithm": ALGORITHM} | signature) + b"\n"]


async def test_an_export_says_all_that_the_ledger_says(shop: Shop, lines: Sequence[bytes], signer: Signer) -> None:
    found = read(lines, signer.public_key)
    ((entries,),) = await shop.rows(f"SELECT count(*) FROM jangbu.entries WHERE {OF_KIM}")
    assert (found.line, found.user, found.project, found.entries) == (None, KIM, PROJECT, entries)
    assert found.public_key == signer.public_key
    newest = [each for each in map(json.loads, lines[1:-1]) if each["asset"] == "tokens"][-1]
    balance = await shop.accounts.balance(KIM)
    assert newest["balance_after"] == balance.posted
    reasons = [json.loads(line)["reason"] for line in lines[1:-1]]
    assert "sent twice by mistake" in reasons


async def test_what_comes_later_leaves_every_line_of_an_earlier_export_as_it_was(
    shop: Shop, lines: Sequence[bytes], signer: Signer
) -> None:
    await shop.record([shop.row(KIM)])
    later = await exported(shop, KIM, signer)
    assert set(lines[1:-1]) < set(later[1:-1])
    assert read(later).root != read(lines).root


async def test_a_later_export_goes_on_the_history_of_an_earlier_one_or_is_found_out(
    shop: Shop, lines: Sequence[bytes], signer: Signer
) -> None:
    earlier = read(lines)
    await shop.record([shop.row(KIM)])
    later = await exported(shop, KIM, signer)
    assert check(BytesIO(b"".join(later)), earlier=earlier).line is None
    assert check(BytesIO(b"".join(lines)), earlier=earlier).line is None
    shorter = check(BytesIO(b"".join(lines)), earlier=read(later))
    assert (shorter.line, "shorter" in shorter.why) == (len(lines), True)

    rewritten = closed_anew([line.replace(b"useless", b"useful!") for line in later], signer)
    assert read(rewritten, signer.public_key).line is None
    found = check(BytesIO(b"".join(rewritten)), earlier=earlier)
    last = max(number for number, line in enumerate(lines[1:-1], 2) if b'"tokens"' in line)
    assert (found.line, "ends another history" in found.why) == (last, True)

    others = await exported(shop, LEE, signer)
    with pytest.raises(InvalidInput, match="another account"):
        check(BytesIO(b"".join(others)), earlier=earlier)


async def test_an_export_without_a_signature_hangs_together_and_says_so(shop: Shop, signer: Signer) -> None:
    lines = await exported(shop, LEE, None)
    assert (read(lines).line, read(lines).public_key) == (None, None)
    assert read(lines, signer.public_key).line == len(lines)


async def test_every_line_that_is_changed_left_out_doubled_or_moved_is_named(lines: Sequence[bytes]) -> None:
    for number in range(1, len(lines)):
        facts = json.loads(lines[number])
        for name in facts:
            changed = [*lines[:number], line_of(facts | {name: "x"}) + b"\n", *lines[number + 1 :]]
            # The hash of the first line stands in the last: either may be the one that was changed.
            named = 1 if name == "header" else number + 1
            assert read(changed).line == named, (number, name)
            left = line_of({key: value for key, value in facts.items() if key != name}) + b"\n"
            assert read([*lines[:number], left, *lines[number + 1 :]]).line == named, (number, name)
        # The last entry of an asset is missed where the chains are closed.
        assert read([*lines[:number], *lines[number + 1 :]]).line in (number + 1, len(lines) - 1)
        assert read([*lines[: number + 1], *lines[number:]]).line == number + 2
        if number < len(lines) - 2:
            swapped = [*lines[:number], lines[number + 1], lines[number], *lines[number + 2 :]]
            assert read(swapped).line in (number + 1, number + 2)


async def test_a_first_line_that_was_changed_is_found(lines: Sequence[bytes]) -> None:
    facts = json.loads(lines[0])
    for name in ("project", "user", "exported_at"):
        assert read([line_of(facts | {name: "another"}) + b"\n", *lines[1:]]).line == 1
    another = line_of(facts | {"account_id": "0197a000-0000-7000-8000-000000000001"}) + b"\n"
    assert read([another, *lines[1:]]).line == 2


async def test_an_entry_that_is_written_anew_in_its_own_way_is_found(lines: Sequence[bytes]) -> None:
    """What JSON reads as the same is not the same line: nothing may stand in a file that no hash knows."""
    first = json.loads(lines[1])
    for odd in (
        json.dumps(first).encode().replace(b'"seq": 1', b'"seq": 1.0'),
        json.dumps(first).encode().replace(b'"seq": 1', b'"seq": true'),
        json.dumps(first).encode().replace(b'{"asset"', b'{"seq": 9, "asset"'),
        lines[1].removesuffix(b"\n") + b" ",
        lines[1].removesuffix(b"\n") + b"\r",
        b"[" * 5_000,
        b'{"seq": 1' + b"0" * 6_000 + b"}",
        b"\xff\xfe",
    ):
        assert read([lines[0], odd + b"\n", *lines[2:]]).line == 2, odd[:60]


async def test_who_rewrites_a_history_needs_the_key(lines: Sequence[bytes], signer: Signer, tmp_path: Path) -> None:
    another = Signer.read_or_make(tmp_path / "another.pem")
    forged = closed_anew([line.replace(b"useless", b"useful!") for line in lines], another)
    assert forged != lines
    assert read(forged).line is None
    assert read(forged, another.public_key).line is None
    assert read(forged, signer.public_key).line == len(lines)
    claimed = [*forged[:-1], forged[-1].replace(another.public_key.encode(), signer.public_key.encode())]
    assert read(claimed).line == len(lines)
    assert read([*forged[:-1], lines[-1]]).line == len(lines)


async def test_an_export_that_was_cut_off_misses_its_next_line(lines: Sequence[bytes]) -> None:
    for kept in range(1, len(lines)):
        assert read(lines[:kept]).line == kept + 1
    assert read([*lines[:-1], lines[-1][:-1]]).line == len(lines)
    assert read([*lines, b"\n"]).line == len(lines) + 1


@pytest.mark.parametrize("other", [b"", b"\n", b"{}\n", b"[]\n", b"not json\n", b'{"export": "another"}\n', b"\xff\n"])
def test_what_is_no_export_is_refused(other: bytes) -> None:
    with pytest.raises(InvalidInput, match="no export"):
        read([other])


def test_a_later_format_is_not_judged() -> None:
    with pytest.raises(InvalidInput, match="version 2"):
        read([b'{"export": "jangbu-ledger", "version": 2}\n'])


@given(st.data())
@settings(max_examples=300)
def test_no_change_of_a_byte_goes_unseen(data: st.DataObject) -> None:
    whole = b"".join(SMALL)
    at = data.draw(st.integers(0, len(whole) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != whole[at]))
    changed = whole[:at] + bytes([byte]) + whole[at + 1 :]
    try:
        assert check(BytesIO(changed)).line is not None
    except InvalidInput:
        assert at < len(SMALL[0])


async def test_a_broken_chain_is_not_handed_out(shop: Shop, signer: Signer) -> None:
    await shop.execute(f"UPDATE jangbu.entries SET reason = 'a gift' WHERE {OF_KIM} AND kind = 'refund'")
    with pytest.raises(IntegrityMismatch, match="breaks at entry"):
        await exported(shop, KIM, signer)
    await shop.execute("UPDATE jangbu.balances SET head = sha256(head) WHERE asset = 1")
    with pytest.raises(IntegrityMismatch, match="breaks at entry"):
        await exported(shop, LEE, signer)


def test_a_key_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "signing.pem"
    first, again = Signer.read_or_make(path), Signer.read_or_make(path)
    assert first.public_key == again.public_key
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["signing.pem"]


def test_what_is_no_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "signing.pem"
    for content in (b"", b"nothing", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"):
        path.write_bytes(content)
        with pytest.raises(InvalidSettings, match="no key"):
            Signer.read(path)


def small() -> list[bytes]:
    """Give an export of two entries that needed no database."""
    account, at = UUID(int=7), datetime(2026, 5, 1, tzinfo=UTC)
    first = line_of(header("p", "이서연", str(account), at))
    links = [
        Link(account, Asset.TOKENS, 1, "grant", 100, 100, None, None, None, at),
        Link(account, Asset.TOKENS, 2, "adjustment", -10, 90, None, UUID(int=1), "실수|a slip", at),
    ]
    lines, last = [first + b"\n"], FIRST
    for link in links:
        last = link.hash_after(last)
        lines.append(line_of(entry(link, last)) + b"\n")
    return [*lines, line_of(closing(first, [End(Asset.TOKENS, 2, last)])) + b"\n"]


SMALL = small()
