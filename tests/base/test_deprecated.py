"""Keywords, methods, attributes and options of an earlier version."""

import pytest

from langue.base.deprecated import (
    RenamedWarning,
    rename_keys,
    renamed_keywords,
    renamed_method,
    renamed_options,
    renamed_property,
)


class Thing:
    size = 3

    @renamed_keywords(show="limit")
    def find(self, text: str, *, limit: int = 10) -> str:
        """Find."""
        return text[:limit]

    search = renamed_method("search", find)
    length = renamed_property("length", "size")


def test_old_keywords_methods_and_attributes_work_and_warn_where_they_are_used() -> None:
    thing = Thing()
    assert thing.find("abc", limit=2) == "ab"
    assert Thing.find.__doc__ == "Find."
    with pytest.warns(RenamedWarning, match=r"^find\(show=…\) is now limit=…") as told:
        assert thing.find("abc", show=1) == "a"
    assert told[0].filename == __file__
    with pytest.warns(RenamedWarning, match=r"^search\(\) is now find\(\)") as told:
        assert thing.search("abc", limit=2) == "ab"
    assert told[0].filename == __file__
    with pytest.warns(RenamedWarning, match="^length is now size") as told:
        assert thing.length == 3
    assert told[0].filename == __file__


def test_a_keyword_is_not_given_twice() -> None:
    with pytest.raises(TypeError, match="both show and limit"):
        Thing().find("abc", show=1, limit=2)


def test_of_two_keys_for_one_thing_the_later_counts() -> None:
    names = {"old": "new"}
    assert rename_keys({"old": 1, "new": 2, "other": 3}, names) == {"new": 2, "other": 3}
    assert rename_keys({"new": 1, "old": 2}, names) == {"new": 2}


def test_old_options_of_a_verb_are_replaced() -> None:
    options = {"find": {"--show": "--limit"}}
    with pytest.warns(RenamedWarning, match="^--show is now --limit"):
        assert renamed_options(["find", "m", "--show", "2"], options) == ["find", "m", "--limit", "2"]
    with pytest.warns(RenamedWarning):
        assert renamed_options(["find", "--show=2", "--", "--show"], options) == [
            "find",
            "--limit=2",
            "--",
            "--show",
        ]
    assert renamed_options(["copied", "--show"], options) == ["copied", "--show"]
    assert renamed_options([], options) == []
