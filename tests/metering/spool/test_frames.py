"""The spool's bytes: what was written is read again, and a damage costs what it hit."""

from hypothesis import given
from hypothesis import strategies as st

from jangbu.metering.spool.frames import HEAD_BYTES, encode, frame_bytes, payload_of, scan

SALT = b"salt"
payloads = st.lists(st.binary(max_size=200), min_size=1, max_size=12)


def written(contents: list[bytes], room: int = 256) -> bytes:
    frames = (encode(number, 1000 + number, content, SALT) for number, content in enumerate(contents, 1))
    return b"".join(frames) + bytes(room)


def read(data: bytes) -> dict[int, bytes | None]:
    return {
        each.sequence: payload_of(data[each.offset : each.end], each._replace(offset=0), SALT)
        for each in scan(data, SALT).frames
    }


@given(payloads)
def test_what_was_written_is_read_again(contents: list[bytes]) -> None:
    found = scan(written(contents), SALT)
    assert read(written(contents)) == dict(enumerate(contents, 1))
    assert [frame.at for frame in found.frames] == [1000 + number for number, _ in enumerate(contents, 1)]
    assert found.damages == ()


@given(payloads, st.data())
def test_a_flipped_bit_costs_one_record_and_is_found(contents: list[bytes], data: st.DataObject) -> None:
    whole = bytearray(written(contents, room=0))
    position = data.draw(st.integers(0, len(whole) - 1))
    whole[position] ^= 1 << data.draw(st.integers(0, 7))
    found = scan(bytes(whole), SALT)
    starts = [sum(frame_bytes(len(each)) for each in contents[:number]) for number in range(len(contents))]
    hit = max(number for number, start in enumerate(starts, 1) if start <= position)
    lost = set(range(1, len(contents) + 1)) - {frame.sequence for frame in found.frames}
    # What stands between records to fill them up belongs to nobody.
    assert lost <= {hit}
    assert bool(lost) == bool(found.damages)
    assert all(read(bytes(whole))[number] == contents[number - 1] for number in read(bytes(whole)))


@given(payloads, st.data())
def test_what_is_cut_off_is_a_torn_tail(contents: list[bytes], data: st.DataObject) -> None:
    whole = written(contents, room=0)
    kept = data.draw(st.integers(0, len(whole)))
    found = scan(whole[:kept], SALT)
    numbers = [frame.sequence for frame in found.frames]
    assert numbers == list(range(1, len(numbers) + 1))
    assert all(damage.is_tail and damage.offset == found.end for damage in found.damages)


def test_bytes_that_look_like_a_record_inside_of_a_payload_are_none() -> None:
    forged = encode(99, 1, b"forged", b"else")
    data = bytearray(written([b"first", bytes(-HEAD_BYTES % 8) + forged + forged, b"last"]))
    data[frame_bytes(5)] ^= 1
    assert set(read(bytes(data))) == {1, 3}


def test_a_file_that_was_never_written_holds_nothing() -> None:
    assert scan(bytes(10_000), SALT) == scan(b"", SALT)
    assert scan(b"", SALT).end == 0
