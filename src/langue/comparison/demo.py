"""The demo: every step of langue on the embedded English and Chinese text, in one go.

For each language: prepare a store, train the n-gram ladder (unigram, bigram, trigram, 5-gram) and a
GPT-2, compare them on held-out documents, and let each continue the same prompt.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from langue.base.files import check_free
from langue.base.progress import log
from langue.comparison.compare import Comparison, compare
from langue.corpus.config import DataConfig
from langue.corpus.sample import sample_path
from langue.generation.generate import generate
from langue.generation.sample import Sampling
from langue.models.folder import Loaded, load
from langue.tokens.prepare import prepare
from langue.tokens.store import MANIFEST, TOKENIZER, TokenStore
from langue.tokens.tokenizer import Tokenizer
from langue.tokens.train import TokenizerConfig
from langue.training.recipe import read_recipe
from langue.training.train import train

PROMPTS = {"english": "ROMEO:\n", "chinese": "却说曹操"}
LADDER = {"unigram": 1, "bigram": 2, "trigram": 3, "5-gram": 5}
# With the options of later papers: as published, it learns less than a trigram in a minute of two cores.
GPT2 = "shakespeare-gpt2-quick"
VOCABULARY = 4096  # a megabyte of text has not enough of each rarer token
SAMPLE = Sampling(max_tokens=60, seed=1)  # about three lines of a terminal


class Language:
    """The demo in one language: what `langue demo` shows, step by step."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.store = folder / "store"
        self.models: dict[str, Loaded] = {}

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
        recipes = {name: ("ngram", [f"order={order}"]) for name, order in LADDER.items()}
        recipes["gpt2"] = (GPT2, [f"training.minutes={minutes}"])
        for name, (recipe, settings) in recipes.items():
            log.info("training %s (%s)", name, self.name)
            path = self.folder / name
            train(read_recipe(recipe, settings), store, path, overwrite=overwrite)
            self.models[name] = load(path)

    def compare(self) -> Comparison:
        return compare(list(self.models.values()), TokenStore(self.store), split="test")

    def samples(self) -> Iterator[tuple[str, str]]:
        """Each model's continuation of the prompt."""
        tokenizer = Tokenizer.load(self.store / TOKENIZER)
        prompt = PROMPTS[self.name]
        for name, loaded in self.models.items():
            writer = generate(loaded.causal, tokenizer, prompt, SAMPLE)
            yield name, prompt + "".join(writer)


def demo(
    output: Path, *, minutes: float, overwrite: bool = False, show: Callable[[str], None] = log.info
) -> dict[str, Any]:
    """Run the demo in both languages.

    Args:
        output: folder that receives the stores and models of each language.
        minutes: training time of each GPT-2.
        show: receives the tables and samples as text, as they come.

    Returns:
        The comparison and the samples of each language, as tables.
    """
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
    return results
