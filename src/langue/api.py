"""The Python API: the verbs of the command line as functions, and the model a user holds.

Layers below speak token ids; here texts come in and texts go out. The normalisation and the
tokenizer a model was trained with travel in its folder and are applied to every text it is given.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from langue.base.config import Config, decode, override
from langue.base.errors import LangueError
from langue.base.files import read_bytes, read_json
from langue.corpus.normalise import Normalisation
from langue.models.folder import (
    DESCRIPTION,
    Loaded,
    describe,
    is_classifier,
    is_tagger,
    load_classifier,
    load_tagger,
)
from langue.models.folder import load as load_folder
from langue.models.protocol import Masked
from langue.tokens.store import MANIFEST, TOKENIZER, TokenStore
from langue.tokens.tokenizer import Tokenizer

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from langue.comparison.compare import Comparison
    from langue.evaluation.evaluate import Evaluation
    from langue.evaluation.gradients import Gradients
    from langue.evaluation.masked import MaskedEvaluation
    from langue.evaluation.pseudo import PseudoScore
    from langue.evaluation.score import Score
    from langue.evaluation.verbatim import Copied, Found
    from langue.generation.embed import Pooling
    from langue.generation.fill import Filled
    from langue.generation.generate import Generation, Writer
    from langue.interop.kenlm import Query
    from langue.tasks.classification import ClassifierEvaluation, ClassifierModel
    from langue.tasks.finetune import Finetuned
    from langue.tasks.tagging import TaggerEvaluation, TaggerModel
    from langue.tokens.prepare import Report
    from langue.training.doctor import Finding
    from langue.training.estimate import Estimate

PathLike = str | Path


class LanguageModel:
    """A trained model of any family, with the texts it speaks: what `langue.load` returns."""

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded
        self.tokenizer = Tokenizer.load(loaded.path / TOKENIZER)
        self.normalisation = decode(Normalisation, loaded.description["normalisation"], "normalisation")

    @property
    def path(self) -> Path:
        return self.loaded.path

    @property
    def reads_both_ways(self) -> bool:
        """Whether it fills, embeds and pseudo-scores; else it scores, continues and generates."""
        return isinstance(self.loaded.model, Masked)

    def score(self, text: str) -> Score:
        """Bits of one text as a document of its own, its end included."""
        return self.score_all([text])[0]

    def score_all(self, texts: Sequence[str]) -> list[Score]:
        """`score` of many texts at once: the same figures, faster."""
        from langue.evaluation.score import score_texts

        return score_texts(self.loaded.causal, self.tokenizer, self.normalisation, texts)

    def fill(self, text: str, *, top: int = 5, append: int = 0, **refining: Any) -> Filled:
        """What stands behind each `[MASK]` of a text, from both sides, and the text with all filled.

        Args:
            top: candidates of each gap.
            append: adds so many `[MASK]` to the text: a continuation, for what it is.
            refining: `rounds`, `temperature`, `seed` of `langue.generation.fill.fill`.
        """
        from langue.generation.fill import MASK, fill

        written = self.normalisation.apply(text) + MASK * append
        return fill(self.loaded.masked, self.tokenizer, written, top=top, **refining)

    def embed(self, texts: Sequence[str], *, pooling: Pooling = "mean") -> npt.NDArray[np.float32]:
        """A vector of each text: `(texts, width)`; `pooling` is "mean" or "cls"."""
        from langue.generation.embed import embed

        normalised = [self.normalisation.apply(text) for text in texts]
        return embed(self.loaded.masked, self.tokenizer, normalised, pooling=pooling)

    def pseudo_score(self, text: str) -> PseudoScore:
        """Pseudo-bits of a text: each token hidden in turn. No probability; see docs/masked.md."""
        return self.pseudo_score_all([text])[0]

    def pseudo_score_all(self, texts: Sequence[str]) -> list[PseudoScore]:
        """`pseudo_score` of many texts."""
        from langue.evaluation.pseudo import pseudo_score_texts

        return pseudo_score_texts(self.loaded.masked, self.tokenizer, self.normalisation, texts)

    def next(self, context: str = "", *, top: int = 10) -> list[tuple[str, float]]:
        """The likeliest next tokens after a text, with their probabilities, likeliest first."""
        from langue.generation.generate import next_tokens

        return next_tokens(self.loaded.causal, self.tokenizer, self.normalisation.apply(context), top)

    def stream(self, prompt: str = "", **sampling: Any) -> Writer:
        """Continue a text piece by piece: iterate over the writer, then read its `result`.

        Args:
            sampling: settings of `langue.generation.sample.Sampling`, such as `temperature=0.8`.
        """
        from langue.generation.generate import generate
        from langue.generation.sample import Sampling

        settings = decode(Sampling, sampling, "sampling")
        return generate(self.loaded.causal, self.tokenizer, self.normalisation.apply(prompt), settings)

    def generate(self, prompt: str = "", **sampling: Any) -> Generation:
        """Continue a text, whole: `stream` run to its end."""
        writer = self.stream(prompt, **sampling)
        for _ in writer:
            pass
        return writer.result

    def beams(
        self, prompt: str = "", *, beams: int = 4, max_tokens: int = 100, length_penalty: float = 0.6
    ) -> list[Generation]:
        """The likeliest continuations of a text by beam search, best first.

        Args:
            beams: hypotheses held at a time, and continuations returned at most.
            length_penalty: 0 favours short ones; 0.6 is that of Vaswani et al. 2017.
        """
        from langue.generation.beam import continuations

        return continuations(
            self.loaded.causal,
            self.tokenizer,
            self.normalisation.apply(prompt),
            beams=beams,
            max_tokens=max_tokens,
            length_penalty=length_penalty,
        )

    def find(self, text: str, *, show: int = 10) -> Found:
        """Where a string stands in the training text, for the family `infinigram`."""
        from langue.evaluation.verbatim import find

        return find(self.loaded, self.tokenizer, self.normalisation.apply(text), show=show)

    def copied(self, text: str, *, least: int = 8, show: int = 10) -> Copied:
        """How much of a text stands verbatim in the training text, for the family `infinigram`.

        Args:
            least: tokens of a piece that counts as copied.
        """
        from langue.evaluation.verbatim import copied

        return copied(self.loaded, self.tokenizer, self.normalisation.apply(text), least=least, show=show)

    def info(self) -> dict[str, Any]:
        """Everything known about the model: `model.json` as a table."""
        return self.loaded.description

    def summary(self) -> str:
        """Family, size and training time in a line."""
        size = ", ".join(f"{count:,} {what}" for what, count in self.loaded.model.size().items())
        seconds = self.loaded.description["measured"]["seconds"]
        return f"{self.loaded.family.name}, {size}, trained in {seconds:,} s"

    def __repr__(self) -> str:
        return f"<langue model {self.path}: {self.summary()}>"


def load(path: PathLike) -> LanguageModel | TaggerModel | ClassifierModel:
    """The model of any family in a folder that `train` wrote.

    Raises:
        LangueError: no model is there, or its files are damaged.
    """
    if is_tagger(path):
        from langue.tasks.tagging import TaggerModel

        return TaggerModel(load_tagger(path))
    if is_classifier(path):
        return classifier(path)
    return language_model(path)


def language_model(path: PathLike) -> LanguageModel:
    """`load`, where only a language model will do."""
    return LanguageModel(load_folder(path))


def tagger(path: PathLike) -> TaggerModel:
    """`load`, where only a tagger will do."""
    from langue.tasks.tagging import TaggerModel

    return TaggerModel(load_tagger(path))


def classifier(path: PathLike) -> ClassifierModel:
    """`load`, where only a classifier will do."""
    from langue.tasks.classification import ClassifierModel

    return ClassifierModel(load_classifier(path))


def finetune(
    model: PathLike,
    data: PathLike,
    output: PathLike,
    *,
    task: Literal["classify", "pair"] = "classify",
    valid: PathLike | None = None,
    test: PathLike | None = None,
    assignments: Sequence[str] = (),
    overwrite: bool = False,
    **settings: Any,
) -> Finetuned:
    """Fine-tune an encoder on labelled texts, and write the folder of the best classifier.

    Args:
        model: folder of a model that reads in both directions.
        data: `text<TAB>label`, or JSON lines with `text` and `label`; of pairs, two texts.
        valid: chooses the epoch and the seed; without it, a tenth of `data` does.
        test: measured at the end; nothing is chosen by it.
        settings: of `langue.tasks.finetune.FinetuneConfig`, `epochs=3`.

    Raises:
        LangueError: a file is not of its format, or has a label that `data` has not.
    """
    from langue.tasks.finetune import FinetuneConfig
    from langue.tasks.finetune import finetune as run

    sections: dict[str, type[Config]] = {"finetune": FinetuneConfig}
    chosen = override({}, assignments, sections, settings).get("finetune", {})
    return run(
        load_folder(model),
        Path(data),
        Path(output),
        task=task,
        config=decode(FinetuneConfig, chosen, "finetune"),
        valid=Path(valid) if valid is not None else None,
        test=Path(test) if test is not None else None,
        overwrite=overwrite,
    )


def train(
    recipe: PathLike,
    data: PathLike,
    output: PathLike,
    *,
    valid: PathLike | None = None,
    assignments: Sequence[str] = (),
    overwrite: bool = False,
    resume: bool = False,
    **settings: Any,
) -> LanguageModel | TaggerModel:
    """Train a model and write its folder.

    Args:
        recipe: the name of a family (`"ngram"`, `"gpt2"`, `"crf"`) or of a recipe, or a TOML file.
        data: the token store a language model learns from, or the labelled file a tagger does; for
            `ngram` also a text file: a sentence a line, words between blanks.
        valid: labelled file that a finished tagger is measured on.
        assignments: settings as the command line writes them, `["training.minutes=3"]`.
        resume: go on from the last checkpoint of the run that was to make `output`, if there is one.
        settings: settings by name, `order=5`; a dotted name is passed as `**{"training.minutes": 3}`.

    Raises:
        LangueError: an unknown setting, data that does not open, an output folder in the way.
        Interrupted: Ctrl-C or SIGTERM; the message says what was saved.
    """
    from langue.training.recipe import TaggerRecipe, read_any_recipe

    resolved = read_any_recipe(str(recipe), assignments, settings)
    if isinstance(resolved, TaggerRecipe):
        from langue.tasks.tagging import train_tagger

        if resume:
            raise LangueError(f"{resolved.family.name} keeps no checkpoints; train it again without --resume")
        held_out = Path(valid) if valid is not None else None
        train_tagger(resolved, Path(data), Path(output), valid=held_out, overwrite=overwrite)
        return tagger(output)
    if valid is not None:
        raise LangueError(
            f"{resolved.family.name} is measured on the valid split of its store; leave --valid out"
        )
    if resolved.family.name == "ngram" and Path(data).is_file():
        from langue.interop.convert import train_text

        train_text(resolved.model, Path(data), Path(output), overwrite=overwrite)
    else:
        from langue.training.train import train as run

        run(resolved, TokenStore(data), Path(output), overwrite=overwrite, resume=resume)
    return language_model(output)


def estimate(
    recipe: PathLike, store: PathLike, *, assignments: Sequence[str] = (), **settings: Any
) -> Estimate:
    """What `train` with these settings would take: parameters, memory, tokens, time. Writes nothing.

    Raises:
        LangueError: as `train`; the family is not trained by gradient.
    """
    from langue.training.estimate import estimate as run
    from langue.training.recipe import read_recipe

    resolved = read_recipe(str(recipe), assignments, settings)
    if resolved.training is None:
        raise LangueError(
            f"{resolved.family.name} is estimated by {resolved.family.estimated_by}, in one pass over the "
            "text: there is nothing to foretell"
        )
    return run(resolved, TokenStore(store))


def prepare(
    inputs: PathLike | Sequence[PathLike],
    output: PathLike,
    *,
    recipe: PathLike | None = None,
    assignments: Sequence[str] = (),
    valid: Sequence[PathLike] = (),
    test: Sequence[PathLike] = (),
    dropped: PathLike | None = None,
    overwrite: bool = False,
    **settings: Any,
) -> Report:
    """Read, clean, split and tokenise text into a store.

    Args:
        inputs: files, folders, or `-` for standard input.
        recipe: a TOML file whose `[data]` and `[tokenizer]` sections are the settings to start from.
        valid, test: files of those splits, where the split is given.
        dropped: JSON-lines file that receives every dropped document with its reason.
        settings: settings by name, `documents="line"`, `kind="words"`.

    Raises:
        LangueError: a file is missing, empty, binary or not UTF-8; too little text for a split.
    """
    from langue.tokens.prepare import prepare as run
    from langue.training.recipe import read_data

    data, tokenizer = read_data(recipe, assignments, settings)
    several = [inputs] if isinstance(inputs, str | Path) else inputs
    return run(
        [str(path) for path in several],
        Path(output),
        data=data,
        tokenizer=tokenizer,
        valid=[str(path) for path in valid],
        test=[str(path) for path in test],
        dropped=Path(dropped) if dropped is not None else None,
        overwrite=overwrite,
    )


def evaluate(
    model: PathLike | LanguageModel | TaggerModel | ClassifierModel,
    on: PathLike,
    *,
    split: str = "test",
    check: bool = False,
) -> Evaluation | TaggerEvaluation | MaskedEvaluation | ClassifierEvaluation:
    """Measure a model: bits per byte with a 95 % interval, perplexities, and with `check` the self-tests.

    A tagger is measured in precision, recall and F1 instead; a model that reads in both directions on
    hidden tokens.

    Args:
        on: a token store, of which `split` is measured, or a text file, of which all is; for a tagger, a
            labelled file.

    Raises:
        LangueError: the store has another tokenizer than the model, or there is nothing to measure.
    """
    from langue.evaluation.evaluate import evaluate_store, evaluate_text

    held = load(model) if isinstance(model, str | Path) else model
    if not isinstance(held, LanguageModel):
        from langue.tasks.tagging import TaggerModel, evaluate_tagger

        if check:
            what = "tagger" if isinstance(held, TaggerModel) else "classifier"
            raise LangueError(f"{held.path} is a {what}; the self-tests are of language models' scores")
        if isinstance(held, TaggerModel):
            return evaluate_tagger(held.loaded, Path(on))
        return held.evaluate(Path(on))
    is_store = (Path(on) / MANIFEST).is_file()
    if Path(on).is_dir() and not is_store:
        raise LangueError(f"{on} is neither a token store (no {MANIFEST}) nor a text file")
    if held.reads_both_ways:
        from langue.evaluation.masked import masked_evaluate_store, masked_evaluate_text

        named = (held.loaded, held.tokenizer)
        if is_store:
            return masked_evaluate_store(*named, TokenStore(on), split=split, check=check)
        return masked_evaluate_text(*named, held.normalisation, Path(on), check=check)
    if is_store:
        return evaluate_store(held.loaded, TokenStore(on), split=split, check=check)
    return evaluate_text(held.loaded, held.tokenizer, held.normalisation, Path(on), check=check)


def query(model: PathLike, text: PathLike) -> Query:
    """Perplexity of a text as KenLM's `query` reports it: a sentence a line, words between blanks.

    Args:
        model: an n-gram model folder, or an ARPA file.

    Raises:
        LangueError: the text is missing or empty, or there is no n-gram model.
    """
    from langue.interop.kenlm import Model

    found = Model(model).query(read_bytes(Path(text)))
    if not found.tokens:
        raise LangueError(f"{text} is empty: there is nothing to measure on")
    return found


def gradients(
    model: PathLike | LanguageModel, on: PathLike, *, split: str = "test", distance: int = 100
) -> Gradients:
    """Measure how far back a recurrent model learns: the gradient of a token's loss by distance in time.

    Args:
        on: a token store with documents longer than `distance` tokens.

    Raises:
        LangueError: the model is not recurrent, the store has another tokenizer, or its documents are short.
    """
    from langue.evaluation.gradients import measure

    held = model if isinstance(model, LanguageModel) else language_model(model)
    return measure(held.loaded, TokenStore(on), split=split, distance=distance)


def compare(models: Sequence[PathLike], *, on: PathLike, split: str = "test") -> Comparison:
    """Rank models in bits per byte on the same documents, and say which differences are real."""
    from langue.comparison.compare import compare as run

    return run([load_folder(path) for path in models], TokenStore(on), split=split)


def demo(
    output: PathLike = "demo", *, minutes: float = 1.5, overwrite: bool = False, show: bool = True
) -> dict[str, Any]:
    """Train and compare every family on the embedded English and Chinese text.

    Args:
        minutes: training time of each GPT-2.
        show: print tables and samples as they come.
    """
    from langue.comparison.demo import demo as run

    return run(Path(output), minutes=minutes, overwrite=overwrite, show=print if show else lambda text: None)


def import_model(path: PathLike, output: PathLike, *, overwrite: bool = False) -> LanguageModel:
    """Write the model of an ARPA file, gzipped or not, or of a folder of Hugging Face, as a model folder.

    Of Hugging Face, BERT and ALBERT are read.

    Raises:
        LangueError: the file is missing or damaged (the line is named); the output is in the way.
    """
    if Path(path).is_dir():
        from langue.interop.checkpoints import import_released

        import_released(Path(path), Path(output), overwrite=overwrite)
    else:
        from langue.interop.convert import import_arpa

        import_arpa(Path(path), Path(output), overwrite=overwrite)
    return language_model(output)


def export_model(model: PathLike, output: PathLike, *, overwrite: bool = False) -> int:
    """Write an n-gram model as an ARPA file, gzipped if its name ends in `.gz`, or a GPT-2 as a folder
    of Hugging Face; returns its n-grams or parameters.

    Raises:
        LangueError: no model of these families is there; the output is in the way.
    """
    if describe(Path(model)).family == "gpt2":
        from langue.interop.huggingface import export_gpt2

        return export_gpt2(Path(model), Path(output), overwrite=overwrite)
    from langue.interop.convert import export_arpa

    return export_arpa(Path(model), Path(output), overwrite=overwrite)


def export_encoder(model: PathLike, output: PathLike, *, overwrite: bool = False) -> None:
    """Write a BERT or ALBERT as a folder that `transformers` loads.

    Raises:
        LangueError: no such model is there, it has a part that they have not; the folder is in the way.
    """
    from langue.interop.checkpoints import export_released

    export_released(Path(model), Path(output), overwrite=overwrite)


def doctor(folder: PathLike = ".") -> Iterator[Finding]:
    """Look at the machine, a finding at a time; `folder` is where models would be written.

    Raises:
        LangueError: there is no such folder.
    """
    from langue.training.doctor import diagnose

    if not Path(folder).is_dir():
        raise LangueError(f"{folder} is no folder; name one that exists")
    return diagnose(Path(folder))


def info(path: PathLike) -> dict[str, Any]:
    """What a model folder or a token store says of itself."""
    path = Path(path)
    if (path / DESCRIPTION).is_file():
        import msgspec

        return dict(msgspec.to_builtins(describe(path)))
    if (path / MANIFEST).is_file():
        return dict(read_json(path / MANIFEST))
    raise LangueError(f"{path} is neither a model folder ({DESCRIPTION}) nor a token store ({MANIFEST})")
