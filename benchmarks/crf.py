"""The CRF beside CRFsuite: same templates, same attributes, same penalty; speed, loss and F1.

    .venv/bin/python benchmarks/crf.py [--part speed|quality|best|passes|pos|documents] [--share 0.5]
                                       [conll2000 ewt …]

speed    CPU time a step of L-BFGS, and tokens tagged a second of CPU; of all threads together (langue shares
         most out between threads, CRFsuite none). The two take turns, so that what else the machine does
         falls on both; the best turn counts. CRFsuite is handed ready lists of attribute strings, langue raw
         words.
quality  both trained for the same number of steps, without what only langue has (encoding, constraints)
best     langue as it comes (`langue train crf DATA`), on the test set, beside published figures
passes   the same with `--set passes=2`, which takes 5.5 times as long to train
pos      taggers that count beside those that optimize, accuracy on the test set of `ewt`: hmm-tagger, TnT of
         NLTK (where nltk is installed), CRFsuite and crf
documents  langue as it comes, on the development and test sets as they are, and with their documents hidden,
         as when sentences are tagged one by one

--share trains both sides on the first sentences of a corpus alone, such a share of them.
Corpora are those of ../shared/data; one that is absent is skipped.
"""

import argparse
import itertools
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pycrfsuite

from langue.corpus.tagged import Sentence, Tagged, read_tagged, unit_of
from langue.models.family import TaggedData
from langue.models.registry import family as lookup
from langue.models.taggers.crf import CRFConfig, estimate
from langue.models.taggers.crf.features import Extractor
from langue.models.taggers.crf.templates import default_templates
from langue.protocols import Tagger
from langue.tasks.metrics import TagScores, score_tags

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
L2 = 0.5


class Set(NamedTuple):
    train: str
    test: str
    published: str
    steps: int = 100  # of `quality`
    dev: str = ""


SETS = {
    "conll2000": Set(
        "conll2000/train.txt", "conll2000/test.txt", "best entrant of 2000: 93.48; linear SVM 94.12"
    ),
    "conll2003": Set(
        "conll2003/eng.train",
        "conll2003/eng.testb",
        "Stanford, no gazetteers: 85.53",
        dev="conll2003/eng.testa",
    ),
    "ewt": Set("ud-english-ewt/train.conllu.gz", "ud-english-ewt/test.conllu", "none found for a CRF"),
    "resume": Set("resume-ner/train.bmes", "resume-ner/test.bmes", "BiLSTM-CRF 94.41, Lattice LSTM 94.46"),
    "msra": Set("msra-ner/train.bio.gz", "msra-ner/test.bio", "BiLSTM-CRF 91.87 (other training part)", 150),
}


def attributes(extractor: Extractor, sentences: list[Sentence]) -> Iterator[list[list[str]]]:
    """What every token has under the templates, as strings."""
    batch = extractor.extract(sentences)
    names = [str(attribute) for attribute in range(len(extractor.keys))]
    members = [
        [names[a] for a in batch.members[begin:end]]
        for begin, end in itertools.pairwise(batch.pointers.tolist())
    ]
    tokens = [
        [name for row in bundles for name in members[row]] + [names[a] for a in alone if a >= 0]
        for bundles, alone in zip(batch.bundles.T.tolist(), batch.single.T.tolist(), strict=True)
    ]
    for begin, end in itertools.pairwise(batch.offsets.tolist()):
        yield tokens[begin:end]


class Peer:
    """CRFsuite on the attributes of langue's templates."""

    def __init__(self, extractor: Extractor, train: Tagged, steps: int, model: Path) -> None:
        self.model = str(model)
        self.trainer = pycrfsuite.Trainer(verbose=False)
        for items, sentence in zip(attributes(extractor, train.sentences), train.sentences, strict=True):
            self.trainer.append(pycrfsuite.ItemSequence(items), list(sentence.tags))
        self.trainer.set_params(
            {"c1": 0.0, "c2": L2, "max_iterations": steps, "delta": 1e-9, "epsilon": 1e-9}
        )

    def train(self) -> tuple[float, float]:
        """CPU seconds a step (its own clock; reading the data is not counted), and the loss at the end."""
        self.trainer.train(self.model)
        iterations = self.trainer.logparser.iterations
        return statistics.median(row["time"] for row in iterations), iterations[-1]["loss"]

    def tagger(self) -> Any:
        tagger = pycrfsuite.Tagger()
        tagger.open(self.model)
        return tagger


def config(steps: int, templates: tuple[str, ...]) -> CRFConfig:
    return CRFConfig(
        templates=templates, encoding="given", constraints=False, l2=L2, iterations=steps, tolerance=0.0
    )


def best_of(turns: int, *contenders: Callable[[], object]) -> list[float]:
    """The least CPU time of each, taken in turn."""
    times = [[] for _ in contenders]
    for _ in range(turns):
        for own, contender in zip(times, contenders, strict=True):
            started = time.process_time()
            contender()
            own.append(time.process_time() - started)
    return [min(own) for own in times]


def speed(name: str, train: Tagged, test: Tagged, folder: Path, steps: int = 12, turns: int = 2) -> None:
    templates = default_templates(unit_of(train.sentences), train.features)
    extractor = Extractor(templates, train.features)
    extractor.learn(train.sentences, 1)
    peer = Peer(extractor, train, steps, folder / name)
    theirs, ours = [], []
    for _ in range(turns):
        theirs.append(peer.train())
        ours.append(trained(train, templates, steps))
    loss = theirs[0][1]
    a, b = min(seconds for seconds, _ in theirs), min(one.seconds for one in ours)
    print(f"{name}: {len(templates)} templates expanded to {len(extractor.templates)}")
    print(f"  CPU of a step      CRFsuite {a:7.3f} s   langue {b:7.3f} s   {a / b:.2f} x as fast")
    print(f"  loss after {steps:3}     CRFsuite {loss:.4f}   langue {ours[0].loss:.4f}")
    model = ours[0].model
    tagger = peer.tagger()
    ready = list(attributes(extractor, test.sentences))
    tokens = sum(len(sentence.words) for sentence in test.sentences)
    model.tag(test.sentences[:50])  # compiling is not tagging
    a, b = best_of(
        3 * turns, lambda: [tagger.tag(items) for items in ready], lambda: model.tag(test.sentences)
    )
    print(
        f"  tagging            CRFsuite {tokens / a:9,.0f} tokens a second of CPU (ready attributes)   "
        f"langue {tokens / b:9,.0f} (raw words)   {a / b:.2f} x as fast"
    )


class Trained(NamedTuple):
    """What training for some steps came to."""

    seconds: float  # of CPU a step, of all threads together: the median
    loss: float  # at the end
    model: Tagger


def trained(train: Tagged, templates: tuple[str, ...], steps: int) -> Trained:
    """langue's CRF after some steps."""
    from langue.models.taggers.crf import train as training
    from langue.models.taggers.crf.minimize import Step

    times, losses = [time.process_time()], []
    original = training.minimize

    def timed(*arguments: Any, after: Callable[[Step], object], **options: Any) -> Step:
        def both(step: Step) -> None:
            times.append(time.process_time())
            losses.append(step.loss)
            after(step)

        times[:] = [time.process_time()]
        return original(*arguments, after=both, **options)

    training.minimize = timed
    try:
        model = estimate(config(steps, templates), TaggedData(train.features, train.sentences))
    finally:
        training.minimize = original
    return Trained(statistics.median(np.diff(times)), losses[-1], model)


def measured(model: Tagger, test: Tagged) -> TagScores:
    return score_tags([sentence.tags for sentence in test.sentences], model.tag(test.sentences))


class PeerTrained(NamedTuple):
    """As `Trained`, of CRFsuite; and what it reaches on the test set."""

    seconds: float
    loss: float
    scores: TagScores


def peer_trained(name: str, train: Tagged, test: Tagged, folder: Path) -> PeerTrained:
    """CRFsuite with langue's templates after the steps of the set."""
    extractor = Extractor(default_templates(unit_of(train.sentences), train.features), train.features)
    extractor.learn(train.sentences, 1)
    peer = Peer(extractor, train, SETS[name].steps, folder / name)
    seconds, loss = peer.train()
    tagger = peer.tagger()
    found = [tagger.tag(items) for items in attributes(extractor, test.sentences)]
    return PeerTrained(seconds, loss, score_tags([sentence.tags for sentence in test.sentences], found))


def quality(name: str, train: Tagged, test: Tagged, folder: Path) -> None:
    steps = SETS[name].steps
    templates = default_templates(unit_of(train.sentences), train.features)
    print(f"{name}: {steps} steps, {len(templates)} templates, l2 {L2}, tags as given, no constraints")

    def line(what: str, scores: TagScores, loss: float, seconds: float) -> None:
        print(
            f"  {what:9} F1 {scores.f1:.2%} ({scores.unit}), accuracy {scores.accuracy:.2%}, "
            f"loss {loss:.1f}, {seconds:.3f} s of CPU a step",
            flush=True,
        )

    ours = trained(train, templates, steps)
    line("langue", measured(ours.model, test), ours.loss, ours.seconds)
    theirs = peer_trained(name, train, test, folder)
    line("CRFsuite", theirs.scores, theirs.loss, theirs.seconds)


def best(name: str, train: Tagged, test: Tagged, folder: Path, *, passes: Literal[1, 2] = 1) -> None:
    started = time.perf_counter()
    model = estimate(CRFConfig(passes=passes), TaggedData(train.features, train.sentences))
    seconds = time.perf_counter() - started
    how = "as it comes" if passes == 1 else "in two passes"
    print(f"{name}: langue {how}, {model.size()['features']:,} features, {seconds:.0f} s")
    scores = measured(model, test)
    print(f"  test       F1 {scores.f1:.2%} ({scores.unit}), accuracy {scores.accuracy:.2%}")
    print(f"  published  {SETS[name].published}")


def documents(name: str, train: Tagged, test: Tagged, folder: Path) -> None:
    started = time.perf_counter()
    model = estimate(CRFConfig(), TaggedData(train.features, train.sentences))
    print(f"{name}: langue as it comes, {time.perf_counter() - started:.0f} s of training")
    dev = SETS[name].dev
    for what, tagged in (("development", read_tagged(DATA / dev) if dev else None), ("test", test)):
        if tagged is None:
            continue
        alone = [sentence._replace(document=()) for sentence in tagged.sentences]
        for how, sentences in (("in documents", tagged.sentences), ("alone", alone)):
            scores = measured(model, tagged._replace(sentences=sentences))
            print(
                f"  {what:11}  {how:12}  F1 {scores.f1:.2%} ({scores.unit}), accuracy {scores.accuracy:.2%}",
                flush=True,
            )


def pos(name: str, train: Tagged, test: Tagged, folder: Path) -> None:
    right = [sentence.tags for sentence in test.sentences]

    def line(what: str, found: Callable[[], Sequence[Sequence[str]]]) -> None:
        started = time.process_time()
        accuracy = score_tags(right, found()).accuracy
        print(f"  {what:28} accuracy {accuracy:.2%}   {time.process_time() - started:7.1f} s CPU", flush=True)

    def nltk_tnt() -> list[list[str]]:
        from nltk.tag.tnt import TnT

        tagger = TnT()
        tagger.train([list(zip(one.words, one.tags, strict=True)) for one in train.sentences])
        return [[tag for _, tag in tagger.tag(list(one.words))] for one in test.sentences]

    print(f"{name}: parts of speech, training and tagging together")
    counted, optimized = (lookup(family) for family in ("hmm-tagger", "crf"))
    for kind in (counted, optimized):
        line(
            f"langue {kind.name}",
            lambda kind=kind: kind.estimate(kind.config(), TaggedData(train.features, train.sentences)).tag(
                test.sentences
            ),
        )
    scores = peer_trained(name, train, test, folder).scores
    print(f"  {'CRFsuite, same templates':28} accuracy {scores.accuracy:.2%}", flush=True)
    if find_spec("nltk"):
        line("NLTK TnT", nltk_tnt)
    else:
        print("  NLTK TnT                     skipped: nltk is not installed")


PARTS = {
    "speed": speed,
    "quality": quality,
    "best": best,
    "passes": partial(best, passes=2),
    "pos": pos,
    "documents": documents,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", choices=list(PARTS), action="append")
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("sets", nargs="*", default=["conll2000", "resume"], choices=list(SETS))
    chosen = parser.parse_args()
    print(
        f"{platform.processor() or platform.machine()}, python-crfsuite {version('python-crfsuite')}",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen.sets:
            if not (DATA / SETS[name].train).exists():
                print(f"{name}: skipped, not in {DATA}")
                continue
            train, test = read_tagged(DATA / SETS[name].train), read_tagged(DATA / SETS[name].test)
            if chosen.share < 1:
                whole = len(train.sentences)
                train = train._replace(sentences=train.sentences[: round(chosen.share * whole)])
                print(f"{name}: trained on the first {len(train.sentences):,} of {whole:,} sentences")
            for part in chosen.part or ["speed", "quality", "best"]:
                PARTS[part](name, train, test, Path(folder))


if __name__ == "__main__":
    main()
