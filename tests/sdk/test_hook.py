"""What a client's seams remember is bounded."""

from jangbu.sdk.hook import RecentNames


def test_the_oldest_names_are_forgotten() -> None:
    names = RecentNames(most=2)
    for name in ("one", "two", "two", "three"):
        names.add(name)
    assert ("one" in names, "two" in names, "three" in names) == (False, True, True)
