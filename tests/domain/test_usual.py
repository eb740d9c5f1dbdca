"""What is usual is told by what was before, exactly: to the last whole number, however large the numbers are."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from jangbu.domain.usual import BEFORE, DEVIATIONS, LEAST, Usual, usual, usual_of_each

FIGURES = st.one_of(st.integers(0, 50), st.integers(0, 2**60))
BEFORE_IT = st.lists(FIGURES, min_size=LEAST, max_size=BEFORE)
GAPPED = st.lists(st.none() | FIGURES, max_size=3 * BEFORE)


def test_it_is_three_deviations_around_the_mean() -> None:
    assert usual([2, 4, 4, 4, 5, 5, 7, 9]) == Usual(0, 11)  # 5 and 2
    assert usual([102, 104, 104, 104, 105, 105, 107, 109]) == Usual(99, 111)
    assert [Usual(99, 111).side(each) for each in (98, 99, 111, 112)] == [-1, 0, 0, 1]


@given(st.lists(FIGURES, max_size=LEAST - 1))
def test_few_tell_nothing(before: list[int]) -> None:
    assert usual(before) is None


@given(BEFORE_IT, st.data())
def test_a_figure_is_usual_where_it_is_within_three_deviations_of_the_mean(
    before: list[int], data: st.DataObject
) -> None:
    found = usual(before)
    assert found is not None
    edges = [found.low - 1, found.low, found.high, found.high + 1]
    figure = data.draw(st.one_of(FIGURES, st.sampled_from([each for each in edges if each >= 0])))
    mean = Fraction(sum(before), len(before))
    variance = sum((each - mean) ** 2 for each in before) / len(before)
    assert (found.side(figure) == 0) == ((figure - mean) ** 2 <= DEVIATIONS**2 * variance)
    assert found.side(figure) in {0, 1 if figure > mean else -1}


@given(FIGURES, st.integers(LEAST, BEFORE))
def test_where_all_are_alike_only_that_is_usual(figure: int, number: int) -> None:
    assert usual([figure] * number) == Usual(figure, figure)


@given(BEFORE_IT, st.integers(0, 2**60))
def test_the_band_moves_with_what_is_in_it_and_whatever_their_order(before: list[int], more: int) -> None:
    here, there = usual(before), usual([each + more for each in sorted(before)])
    assert here is not None
    assert there is not None
    assert there.high == here.high + more
    assert there.low == here.low + more or here.low == 0 <= there.low <= more
    assert here.low <= here.high


@given(GAPPED, GAPPED, st.data())
def test_each_is_told_by_those_before_it_and_by_no_other(
    earlier: list[int | None], figures: list[int | None], data: st.DataObject
) -> None:
    found = usual_of_each(earlier, figures)
    assert len(found) == len(figures)
    every = [*earlier, *figures]
    for place, mine in enumerate(found, start=len(earlier)):
        before = [each for each in every[max(place - BEFORE, 0) : place] if each is not None]
        assert mine == usual(before)
    place = data.draw(st.integers(0, len(figures)))
    assert usual_of_each(earlier, figures[:place]) == found[:place], "what comes later changes nothing"
