"""What a person gives to a method of a model, whatever it is, is taken or refused in a sentence."""

import inspect
import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import langue
from langue.base.deprecated import RenamedWarning
from langue.base.errors import InvalidSetting, LangueError

MODELS = Path(__file__).parents[1] / "compat" / "data" / "models"  # one of each kind of face
BAD = (None, 3, -1, True, 10**30, math.nan, math.inf, "", "\ud800", "a\0b", b"x", object())
BAD += ([], [3], [[3]], [b"x"], ["a", None], ["\ud800"], ("a",), {"a": 1}, iter(["a"]))
# Those of paths have a test of their own; what other methods return is checked by types.
PATHS = {"model", "inputs", "output", "good", "other", "index", "overwrite"}
TYPED = {"save", "load", "read", "tags", "write", "evaluate", "evaluate_similarity", "gradients"}


def methods(model: Any) -> Iterator[Any]:
    for name in dir(model):
        if (
            not name.startswith("_")
            and name not in TYPED
            and inspect.isfunction(getattr(type(model), name, None))
        ):
            yield getattr(model, name)


@pytest.mark.parametrize("name", ["ngram", "bert", "classifier-pair", "hmm-tagger", "mixture"])
def test_every_argument_of_every_method(name: str) -> None:
    model = langue.load(MODELS / name)
    tried = 0
    for method in methods(model):
        parameters = inspect.signature(method).parameters
        usual: dict[str, Any] = {
            key: ["a b"] if key.endswith("s") else "a"
            for key, parameter in parameters.items()
            if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
        }
        if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters.values()):
            usual = {}
        for key in (
            key
            for key, one in parameters.items()
            if one.kind is one.POSITIONAL_OR_KEYWORD or one.kind is one.KEYWORD_ONLY
        ):
            for value in BAD:
                tried += 1
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", RenamedWarning)
                    try:
                        returned = method(**usual | {key: value})
                        if isinstance(returned, Iterator):
                            next(returned, None)
                    except LangueError as error:
                        assert str(error)
    assert tried > 20


FUNCTIONS: dict[Any, dict[str, Any]] = {
    langue.summarize: {"text": "One two. Three four."},
    langue.answer: {"question": "Who wrote it?", "texts": ["The king wrote it."]},
    langue.similar: {"query": "king", "texts": ["The king wrote it."]},
    langue.filter: {"good": MODELS / "ngram", "keep": 0.5, "min_bytes": 3},
}


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_every_argument_of_functions_of_texts(function: Any, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("The king wrote it.\nIt appeared in 1815.\n")
    usual = FUNCTIONS[function]
    if function is langue.filter:
        usual = {"inputs": tmp_path / "text", "output": tmp_path / "kept", "overwrite": True, **usual}
    for key in inspect.signature(function).parameters.keys() - PATHS:
        for value in BAD:
            try:
                function(**usual | {key: value})
            except LangueError as error:
                assert str(error)
    if function is langue.filter:
        for key in ("keep", "below", "min_bytes", "max_bytes", "max_repeated", "max_symbols"):
            for value in (math.nan, math.inf, -1e30, "x", [3]):
                with pytest.raises(LangueError):
                    langue.filter(**{**usual, "keep": None, key: value})


NO_PATHS = (3, 1.5, True, b"x", object(), {"a": 1}, [3], [None], [b"x"], "", "a\0b", "\ud800")
USUAL: dict[str, Any] = {"question": "Who?", "query": "king", "texts": ["The king."], "text": "One. Two."}
USUAL |= {"good": MODELS / "ngram", "models": [MODELS / "ngram"]}


def seams() -> Iterator[tuple[str, Any]]:
    """Every public function, and every method of a public class, that is given paths."""
    for name in langue.__all__:
        home = getattr(langue, name)
        if inspect.isfunction(home):
            yield name, home
        elif inspect.isclass(home) and home.__module__.startswith("langue."):
            yield from ((f"{name}.{key}", getattr(home, key)) for key in vars(home) if key[0] != "_")


def models_of(face: str) -> Any:
    """A model of a face, for its methods."""
    return langue.load(MODELS / {"MaskedModel": "bert", "TaggerModel": "crf"}.get(face, "ngram"))


def test_what_is_no_path_is_refused_by_its_name_wherever_a_path_is_taken() -> None:
    """In every public function and method, whichever argument it is of: found by their types."""
    tried = set()
    for name, seam in seams():
        if not callable(seam):
            continue
        parameters = inspect.signature(seam).parameters
        paths = {key: one for key, one in parameters.items() if "Path" in str(one.annotation)}
        if not paths:
            continue
        tried.add(name)
        face, _, method = name.partition(".")
        function = getattr(models_of(face), method) if "self" in parameters else seam
        usual = {key: "nowhere" for key, one in paths.items() if one.default is one.empty}
        usual |= {key: USUAL[key] for key in USUAL.keys() & parameters.keys()}
        for key, one in paths.items():
            bad = NO_PATHS if one.default is None else (*NO_PATHS, None)
            for value in bad:
                if value == {"a": 1} and "Sequence" in str(one.annotation):
                    continue  # which is a list of its keys
                with pytest.raises(LangueError) as refused:
                    function(**usual | {key: value})
                assert key in str(refused.value), f"{name}({key}={value!r}): {refused.value}"
    assert {"train", "prepare", "load", "Passages.read", "MaskedModel.probe", "TaggerModel.read"} <= tried
    assert len(tried) > 20


@pytest.mark.parametrize("value", [None, 3, "a b", b"x", [None], [b"x"]])
def test_what_are_no_sources_is_refused(value: Any) -> None:
    with pytest.raises(LangueError, match="source"):
        list(langue.load(MODELS / "bert2bert").generate_target_all(value))


@pytest.mark.parametrize("value", [3, math.nan, b"ray", [], [3], {"a": 1}, iter(["a"]), int])
def test_what_is_no_name_is_refused_by_the_name_of_its_argument(value: Any, tmp_path: Path) -> None:
    """Of what runs tasks, a task, a format, and a section of settings."""
    model, text = MODELS / "bert", tmp_path / "x.txt"
    text.write_text("The king is dead.\n")
    for key, call in (
        ("on", lambda: langue.prepare(text, tmp_path / "new", on=value)),
        ("task", lambda: langue.finetune(model, text, tmp_path / "new", task=value)),
        ("format", lambda: langue.export_model(model, tmp_path / "new", format=value)),
        ("tokenizer", lambda: langue.prepare(text, tmp_path / "new", tokenizer=value)),
        ("training", lambda: langue.train("gpt2", text, tmp_path / "new", training=value)),
    ):
        with pytest.raises(InvalidSetting, match=key):
            call()
    assert not (tmp_path / "new").exists()
