"""Classes of sizes, four to each doubling: they sort many figures roughly, and seldom change when one grows."""

__all__ = ["class_limit", "class_of_size"]


def class_of_size(size: int) -> int:
    """Give the class of a size: larger sizes are in the same or in a higher one, what is below 0 is in the lowest."""
    if size < 4:
        return max(size, 0)
    octave = size.bit_length() - 1
    return 4 * octave + (size >> (octave - 2)) - 4


def class_limit(number: int) -> int:
    """Give the least size that is larger than all of a class and of those below it."""
    if number < 8:
        return min(number, 3) + 1
    octave, quarter = divmod(number, 4)
    return (4 + quarter + 1) << (octave - 2)
