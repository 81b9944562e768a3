"""Settings as a user of Python gives them: one by one as keywords, or a section whole as an object."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, ParamSpec, TypeAlias, TypeVar

from langue.base.config import Config, encode_changes, read_assignments
from langue.base.deprecated import warn_renamed
from langue.base.errors import InvalidSetting

Setting: TypeAlias = "str | int | float | bool | Sequence[Setting] | Mapping[str, Setting]"

P = ParamSpec("P")
R = TypeVar("R")


def merge_sections(settings: Mapping[str, Setting], **sections: Config | None) -> dict[str, Setting]:
    """All that is set, by dotted name: what the objects have that is not as by default, then single settings.

    Args:
        settings: by name, `steps` or `training.steps`.
        sections: by name, `training`; None where it was not given.

    Raises:
        InvalidSetting: a section is no object of settings.
    """
    merged: dict[str, Setting] = {}
    for name, section in sections.items():
        if section is not None:
            if not isinstance(section, Config):
                raise InvalidSetting(
                    f"{name} takes an object with all settings of the section, not {section!a}; give single "
                    "settings by their names"
                )
            merged |= {f"{name}.{key}": value for key, value in encode_changes(section).items()}
    return merged | dict(settings)


def takes_assignments(verb: Callable[P, R]) -> Callable[P, R]:
    """Decorate a verb so that it also takes `assignments=["order=5"]`, as it did in an earlier version."""

    @wraps(verb)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        given: dict[str, Any] = kwargs
        if "assignments" in given:
            warn_renamed(f"{verb.__name__}(assignments=…)", "settings by name, order=5", stacklevel=2)
            given = read_assignments(given.pop("assignments")) | given
        return verb(*args, **given)

    return call
