"""Classes of sizes: in order, without gaps, and never wider than a fourth of what is in them."""

from hypothesis import given
from hypothesis import strategies as st

from jangbu.domain.sizes import class_limit, class_of_size

sizes = st.integers(0, 2**63 - 1)


@given(sizes)
def test_a_size_lies_below_the_limit_of_its_class_and_not_below_that_of_the_class_before(size: int) -> None:
    number = class_of_size(size)

    assert size < class_limit(number)
    assert number == 0 or class_limit(number - 1) <= size


@given(sizes, sizes)
def test_larger_sizes_are_in_no_lower_class(one: int, other: int) -> None:
    assert (class_of_size(one) <= class_of_size(other)) or one > other


@given(st.integers(4, 2**63 - 1))
def test_the_sizes_of_a_class_are_alike(size: int) -> None:
    assert class_limit(class_of_size(size)) <= size * 5 // 4 + 1


def test_what_is_below_nothing_is_in_the_lowest() -> None:
    assert (class_of_size(-5), class_of_size(0)) == (0, 0)
