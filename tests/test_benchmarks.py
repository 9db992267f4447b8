"""What the benchmarks make of what they measure; they themselves are run by `make bench`."""

import pytest

from benchmarks.figure import Figure
from benchmarks.report import put


def test_a_figure_compares_pair_by_pair_and_is_judged_by_the_median() -> None:
    figure = Figure("x", "s", reach=0.5, goal=0.4)
    for ours, other in ((1, 2), (1, 4), (3, 5)):
        figure.add(ours, other)
    assert figure.values() == [0.5, 0.25, 0.6]
    assert figure.median() == 0.5
    assert figure.reached(0.5) and not figure.reached(0.4)


def test_a_lower_bound_and_a_difference() -> None:
    figure = Figure("x", "s", reach=3, goal=5, at_least=True, difference=True, ours=[7.0], other=[3.0])
    assert figure.values() == [4.0]
    assert figure.reached(3) and not figure.reached(5)


def test_a_section_is_replaced_again_and_again_and_no_other() -> None:
    text = "a\n<!-- one -->\n<!-- end -->\nb\n<!-- two -->\nold\n<!-- end -->\nc\n"
    once = put(put(text, "one", "1"), "two", "2")
    assert once == "a\n<!-- one -->\n1\n<!-- end -->\nb\n<!-- two -->\n2\n<!-- end -->\nc\n"
    assert put(put(once, "one", "1"), "two", "2") == once
    with pytest.raises(ValueError, match="three"):
        put(text, "three", "3")
