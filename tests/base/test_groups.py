"""Groups of a bounded size."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from langue.base.groups import group_by_size


@given(st.lists(st.integers(0, 20)), st.integers(1, 15))
def test_groups_keep_the_order_and_the_limit_and_none_could_take_the_next(
    sizes: list[int], limit: int
) -> None:
    groups = list(group_by_size(sizes, lambda size: size, limit))
    assert [size for group in groups for size in group] == sizes
    assert all(group and (sum(group) <= limit or len(group) == 1) for group in groups)
    assert all(sum(group) + after[0] > limit for group, after in pairwise(groups))
