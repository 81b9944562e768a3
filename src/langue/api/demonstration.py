"""The demo: every step of langue on the embedded English and Chinese text, in one go.

For each language: prepare a store, train the n-gram ladder (unigram, bigram, trigram, 5-gram) and a
GPT-2, mix the best n-gram with it, compare them on held-out documents, and let each continue the same
prompt. In Chinese, a BERT that reads characters fills gaps besides. Without torch the n-grams are all.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from langue.base import staging
from langue.base.errors import NEURAL, LangueError, how_to_install
from langue.base.extras import has_torch
from langue.base.files import check_free
from langue.base.progress import log
from langue.corpus.config import DataConfig
from langue.corpus.sample import sample_path
from langue.evaluation.compare import Comparison, compare
from langue.evaluation.documents import StoredDocuments
from langue.evaluation.scorer import ModelScorer
from langue.generation.fill import fill
from langue.generation.generate import generate
from langue.generation.sample import Sampling
from langue.models.folder import ModelFolder, load
from langue.protocols import Causal, Masked
from langue.tokens.prepare import prepare
from langue.tokens.store import MANIFEST, TOKENIZER, TokenStore
from langue.tokens.tokenizer import Tokenizer
from langue.tokens.train import TokenizerConfig
from langue.training.defaults import recipe_for
from langue.training.recipe import read_recipe
from langue.training.train import train

PROMPTS = {"english": "ROMEO:\n", "chinese": "却说曹操"}
LADDER = {"unigram": 1, "bigram": 2, "trigram": 3, "5-gram": 5}
MIXED = ("5-gram", "gpt2")
BERT = "chinese-bert-quick"
BERT_SHARE = 2 / 3  # of the time of a GPT-2
GAPS = (
    "玄德大[MASK]，急问孔明",
    "次日，[MASK]明升帐",
    "张[MASK]大怒，挺枪出马",
    "青山依旧在，几度夕阳[MASK]。",
)
VOCABULARY = 4096  # a megabyte of text has not enough of each rarer token
CHARACTERS = TokenizerConfig(kind="chars", vocabulary=VOCABULARY)
SAMPLE = Sampling(max_tokens=60, seed=1)  # about three lines of a terminal


class Language:
    """The demo in one language: what `langue demo` shows, step by step."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.store = folder / "store"
        self.models: dict[str, ModelFolder[Causal]] = {}

    def build(self, minutes: float, *, overwrite: bool) -> None:
        """Prepare the store and train every model."""
        data = DataConfig(documents="form-feed")
        report = prepare(
            [str(sample_path(self.name))],
            self.store,
            data=data,
            tokenizer=TokenizerConfig(vocabulary=VOCABULARY),
            overwrite=overwrite,
        )
        log.info("%s", report)
        store = TokenStore(self.store)
        recipes: dict[str, tuple[str, dict[str, Any]]] = {
            name: ("ngram", {"order": order}) for name, order in LADDER.items()
        }
        if has_torch():
            recipes["gpt2"] = ("gpt2", {"training.minutes": minutes})
        for name, (family, settings) in recipes.items():
            log.info("training %s (%s)", name, self.name)
            path = self.folder / name
            train(recipe_for(family, store, path, settings), store, path, overwrite=overwrite)
            self.models[name] = load(path)
        if has_torch():
            self._mix(store, overwrite=overwrite)

    def _mix(self, store: TokenStore, *, overwrite: bool) -> None:
        log.info("mixing (%s)", self.name)
        parts = [str(self.folder / name) for name in MIXED]
        mixture = read_recipe("mixture", settings={"models": parts})
        train(mixture, store, self.folder / "mixture", overwrite=overwrite)
        self.models["mixture"] = load(self.folder / "mixture")

    def compare(self) -> Comparison:
        documents = StoredDocuments(TokenStore(self.store), "test")
        return compare([ModelScorer(folder) for folder in self.models.values()], documents)

    def samples(self) -> Iterator[tuple[str, str]]:
        """Each model's continuation of the prompt."""
        tokenizer = Tokenizer.load(self.store / TOKENIZER)
        prompt = PROMPTS[self.name]
        for name, loaded in self.models.items():
            writer = generate(loaded.model, tokenizer, prompt, SAMPLE)
            yield name, prompt + "".join(writer)


def gaps(folder: Path, minutes: float, *, overwrite: bool) -> dict[str, list[tuple[str, float]]]:
    """What a BERT of the Chinese text puts into each gap, likeliest first."""
    log.info("training bert (chinese, by characters)")
    recipe = read_recipe(BERT, [f"training.minutes={minutes}"])
    text, store = [str(sample_path("chinese"))], folder / "characters"
    prepare(text, store, data=DataConfig(documents="form-feed"), tokenizer=CHARACTERS, overwrite=overwrite)
    train(recipe, TokenStore(store), folder / "bert", overwrite=overwrite)
    model, tokenizer = load(folder / "bert").require(Masked).model, Tokenizer.load(store / TOKENIZER)
    return {text: fill(model, tokenizer, text, k=4).gaps[0].candidates for text in GAPS}


def _check_is_demo(output: Path) -> None:
    """Raise a `LangueError` where something else stands than what the demo makes: a model, or files."""
    if not output.is_dir():
        return
    strange = [name for name in staging.contents(output) if name not in PROMPTS]
    if strange:
        raise LangueError(
            f"{output} holds other things than a demo ({min(strange)}); choose another folder: -o FOLDER"
        )


def demo(
    output: Path, *, minutes: float, overwrite: bool = False, show: Callable[[str], None] = log.info
) -> dict[str, Any]:
    """Run the demo in both languages.

    Args:
        output: folder that receives the stores and models of each language.
        minutes: training time of each GPT-2; the BERT has two thirds of it.
        show: receives the tables and samples as text, as they come.

    Returns:
        The comparison and the samples of each language, and what fills the gaps in Chinese, as tables.
    """
    _check_is_demo(output)
    check_free(output / "chinese" / "characters", marker=MANIFEST, overwrite=overwrite)
    languages = [Language(name, output / name) for name in PROMPTS]
    for language in languages:
        check_free(language.store, marker=MANIFEST, overwrite=overwrite)
    results: dict[str, Any] = {}
    for language in languages:
        language.build(minutes, overwrite=overwrite)
        comparison = language.compare()
        show(f"\n{language.name}\n{comparison}")
        samples = dict(language.samples())
        for name, text in samples.items():
            show(f"\n── {name} ──\n{text}")
        results[language.name] = {"comparison": comparison.to_json(), "samples": samples}
    if not has_torch():
        show(f"\nGPT-2, the mixture and BERT need torch: {how_to_install(NEURAL)}")
        return results
    filled = gaps(output / "chinese", BERT_SHARE * minutes, overwrite=overwrite)
    show("\n── bert fills gaps ──")
    for text, candidates in filled.items():
        show(f"{text}   " + "  ".join(f"{token} {share:.0%}" for token, share in candidates))
    results["chinese"]["filled"] = filled
    return results
