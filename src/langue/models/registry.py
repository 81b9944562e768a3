"""Every family by name. A family's module is imported only when it is asked for: no torch before.

A package of another maker adds one by an entry point of the group `langue.families`, whose name is that of
the family and whose value is a `Family`; a program adds one by `register`.
"""

import importlib
import sys
from contextlib import suppress
from typing import Any

from langue.base.config import Config, nearest
from langue.base.entry_points import load_point, points_of
from langue.base.errors import InvalidSetting, MissingExtra
from langue.base.extras import needs_torch
from langue.models.family import Family

# A module here defines `FAMILY`.
MODULES = {
    "ngram": "langue.models.counts.ngram",
    "class-ngram": "langue.models.counts.class_ngram",
    "markov": "langue.models.counts.markov",
    "infinigram": "langue.models.counts.infinigram",
    "mixture": "langue.models.networks.mixture",
    "loglinear": "langue.models.counts.loglinear",
    "nplm": "langue.models.networks.nplm",
    "rnn": "langue.models.networks.rnn",
    "charcnn": "langue.models.networks.charcnn",
    "transformer": "langue.models.networks.transformer",
    "bert2bert": "langue.models.networks.bert2bert",
    "gpt2": "langue.models.networks.gpt2",
    "bert": "langue.models.encoders.bert",
    "albert": "langue.models.encoders.albert",
    "electra": "langue.models.encoders.electra",
    "hmm": "langue.models.states.hmm",
    "hmm-tagger": "langue.models.taggers.hmm_tagger",
    "neural-hmm": "langue.models.states.neural_hmm",
    "crf": "langue.models.taggers.crf",
    "rnn-tagger": "langue.models.taggers.rnn_tagger",
    "encoder-tagger": "langue.models.taggers.encoder_tagger",
    "classifier": "langue.models.encoders.classifier",
    "span": "langue.models.encoders.span",
    "ranker": "langue.models.summarizers.ranker",
}
ENTRY_POINTS = "langue.families"  # of entry points

RENAMED = {"pair": "electra"}  # names of an earlier version, which model folders hold

_registered: dict[str, Family[Any]] = {}


def register(family: Family[Any]) -> None:
    """Make a family known in this process.

    Raises:
        LangueError: another one has that name.
    """
    if family.name in MODULES or _registered.get(family.name, family) is not family:
        raise InvalidSetting(f"there is a family {family.name} already; give yours another name")
    _registered[family.name] = family


def names() -> list[str]:
    """The names of all families: langue's own, those of other packages, and those registered."""
    return [*MODULES, *(name for name in (*_registered, *points_of(ENTRY_POINTS)) if name not in MODULES)]


def is_family(name: str) -> bool:
    """Whether a family has that name."""
    # The entry points last: asking for them reads every installed package's.
    return name in MODULES or name in RENAMED or name in _registered or name in points_of(ENTRY_POINTS)


def family(name: str) -> Family[Any]:
    """The family of that name.

    Raises:
        MissingExtra: it is one of networks, and torch is not installed.
        LangueError: there is none (the nearest is named), or its package is broken.
    """
    name = RENAMED.get(name, name)
    if name in _registered:
        return _registered[name]
    if name in MODULES:
        with needs_torch(f"the family {name}"):
            own: Family[Any] = importlib.import_module(MODULES[name]).FAMILY
        return own
    if name in points_of(ENTRY_POINTS):
        return load_point(points_of(ENTRY_POINTS)[name], Family)
    raise InvalidSetting(f"unknown family {name}{nearest(name, names())}")


def family_of(config: Config) -> Family[Any]:
    """The family whose models have such a configuration.

    Raises:
        InvalidSetting: it is that of no family.
    """
    imported_first = sorted(names(), key=lambda name: MODULES.get(name) not in sys.modules)
    for name in imported_first:
        with suppress(MissingExtra):  # a configuration of such a family there is none
            if family(name).config is type(config):
                return family(name)
    raise InvalidSetting(f"a {type(config).__name__} is the configuration of no family of models")
