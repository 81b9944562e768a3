"""Groups of a bounded size."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from langue.base.groups import group_by_size, growing_groups


@given(st.lists(st.integers(0, 20)), st.integers(1, 15))
def test_groups_keep_the_order_and_the_limit_and_none_could_take_the_next(
    sizes: list[int], limit: int
) -> None:
    groups = list(group_by_size(sizes, lambda size: size, limit))
    assert [size for group in groups for size in group] == sizes
    assert all(group and (sum(group) <= limit or len(group) == 1) for group in groups)
    assert all(sum(group) + after[0] > limit for group, after in pairwise(groups))


@given(st.lists(st.integers(0, 20)), st.integers(1, 99))
def test_groups_that_grow_begin_with_one_item_and_hold_all(sizes: list[int], limit: int) -> None:
    groups = list(growing_groups(iter(sizes), lambda size: size, limit))
    assert [size for group in groups for size in group] == sizes
    assert all(len(group) == 1 for group in groups[:1])
    assert all(sum(group[:-1]) < limit for group in groups)
    assert len(list(growing_groups(range(5000), lambda _: 1, 1000))) == 14
