"""Pairs without labels: of a text, the sentences that share most with the rest are what is to be written.

Gap-sentence generation (Zhang et al. 2020, PEGASUS, section 3.1; of Chinese Su 2021, T5-PEGASUS): a sentence
is as good as its F1 of words with all others (their "Ind", every word counted once), and the best of them in
their order are the target. They leave the source, but for a share that stays there: a model that is to copy
learns it from these (their section 6.2 keeps a fifth).
"""

from collections import Counter
from collections.abc import Iterator

from langue.base.seeds import generator
from langue.corpus.config import DataConfig
from langue.corpus.document import Document
from langue.corpus.ledger import Ledger
from langue.corpus.sentences import split_sentences
from langue.corpus.units import tokens_of

LEAST = 3  # sentences of a text: of fewer there is nothing to choose


def gap_sentences(documents: Iterator[Document], config: DataConfig, ledger: Ledger) -> Iterator[Document]:
    """Documents as pairs of what is left of them and what was taken; those too short are dropped."""
    for document in documents:
        text = document.text
        sentences = [piece for begin, end in split_sentences(text) if (piece := text[begin:end]).strip()]
        if len(sentences) < LEAST:
            ledger.drop(document, "too few sentences")
            continue
        chosen = best_sentences(sentences, max(1, round(config.gap_sentences * len(sentences))))
        draw = generator(config.seed, "gap sentences", text)
        kept = {index for index in chosen if draw.random() < config.gap_sentences_kept}
        source = [piece for k, piece in enumerate(sentences) if k not in chosen or k in kept]
        target = "".join(sentences[index] for index in chosen).strip()
        if not (joined := "".join(source).strip()):
            ledger.drop(document, "too few sentences")
            continue
        yield document._replace(text=joined, target=target)


def best_sentences(sentences: list[str], number: int) -> list[int]:
    """The indices of those that share most with all the others, in their order."""
    words = [Counter(tokens_of(sentence)) for sentence in sentences]
    total = Counter[str]()
    for counts in words:
        total.update(counts)
    scores = []
    for own in words:
        elsewhere = sum(total[word] > count for word, count in own.items())
        others = len(total) - len(own) + elsewhere  # words that the rest has
        scores.append(2 * elsewhere / max(len(own) + others, 1))
    ranked = sorted(range(len(sentences)), key=lambda index: -scores[index])
    return sorted(ranked[:number])
