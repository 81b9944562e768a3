"""Readers and writers of labeled files: what they accept, what they refuse, and that nothing is lost."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from langue.base.errors import LangueError
from langue.corpus.tagged import Sentence, TaggedConfig, read_tagged, unit_of
from langue.corpus.write_tagged import write_tagged

CONLL = "John NNP B-PER\nsleeps VBZ O\n\nParis NNP B-LOC\n"
CONLLU = """# sent_id = 1
# text = vámonos al mar
1-2	vámonos	_	_	_	_	_	_	_	_
1	vamos	ir	VERB	VB	_	0	root	_	_
2	nos	nosotros	PRON	PR	_	1	obj	_	_
2.1	x	x	X	X	_	_	_	_	_
3	mar	mar	NOUN	NN	_	1	obl	_	_

1	Sí	sí	INTJ	UH	_	0	root	_	_
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    def make(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode())
        return path

    return make


def test_columns(write: Callable[[str, str], Path]) -> None:
    found = read_tagged(write("a.conll", CONLL))
    assert found.columns == ("word", "pos", "tag")
    assert found.sentences[0].columns == (("John", "sleeps"), ("NNP", "VBZ"))
    assert found.sentences[0].tags == ("B-PER", "O")
    assert found.sentences[1].location.endswith("line 4")


@pytest.mark.parametrize(
    "text", ["\ufeff" + CONLL, CONLL.replace("\n", "\r\n"), CONLL.replace(" ", "\t"), "\n\n" + CONLL.strip()]
)
def test_what_editors_and_tools_do_to_columns(write: Callable[[str, str], Path], text: str) -> None:
    expected = read_tagged(write("a.conll", CONLL)).sentences
    found = read_tagged(write("b.conll", text)).sentences
    assert [one[:2] for one in found] == [one[:2] for one in expected]


def test_lines_between_documents_are_no_sentences(write: Callable[[str, str], Path]) -> None:
    found = read_tagged(write("a.txt", "-DOCSTART- -X- O\n\n" + CONLL))
    assert [sentence.words for sentence in found.sentences] == [("John", "sleeps"), ("Paris",)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "a O\n\n-DOCSTART- O\n\nb O\n\nc O\n\n-DOCSTART- O\n\nd O\n"),
        (
            "a.conllu",
            "".join(
                f"{mark}1\t{word}\t_\tX\t_\t_\t_\t_\t_\t_\n\n"
                for mark, word in (("", "a"), ("# newdoc id = 1\n", "b"), ("", "c"), ("# newdoc\n", "d"))
            ),
        ),
        (
            "a.jsonl",
            "".join(
                f'{{"tokens": ["{word}"], "tags": ["O"]{belongs}}}\n'
                for word, belongs in (
                    ("a", ""), ("b", ', "document": 7'), ("c", ', "document": 7'), ("d", ', "document": "8"'),
                )
            ),
        ),
    ],
)  # fmt: skip
def test_sentences_know_their_document(write: Callable[[str, str], Path], name: str, text: str) -> None:
    found = read_tagged(write(name, text)).sentences
    both = ((("b",),), (("c",),))
    assert [sentence.document for sentence in found] == [(), both, both, ((("d",),),)]
    assert found[1].document is found[2].document
    assert found[2].document[1] is found[2].columns
    tagged = read_tagged(write(name, text))
    for format, suffix in (("conll", "txt"), ("jsonl", "jsonl"), (tagged.format, name.split(".")[1])):
        if format == "conllu" and tagged.format != "conllu":
            continue
        tags = [sentence.tags for sentence in found[1:]]
        copy = "".join(
            write_tagged(found[1:], tags, format, ("word", "upos" if format == "conllu" else "tag"))
        )
        again = read_tagged(write(f"copy.{suffix}", copy)).sentences
        assert [sentence.document for sentence in again] == [one.document for one in found[1:]]


def test_columns_by_name_and_passed_over(write: Callable[[str, str], Path]) -> None:
    config = TaggedConfig(columns=("word", "-", "tag"))
    found = read_tagged(write("a.conll", CONLL), config)
    assert found.features == ("word",)
    assert found.sentences[0].columns == (("John", "sleeps"),)


def test_a_tag_column_may_be_missing_only_where_that_is_said(write: Callable[[str, str], Path]) -> None:
    config = TaggedConfig(columns=("word", "pos", "tag"))
    path = write("a.conll", "John NNP\nsleeps VBZ\n")
    assert read_tagged(path, config, tags=False).sentences[0].tags == ()
    with pytest.raises(LangueError, match="line 1 has 2 columns, not 3"):
        read_tagged(path, config)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.conll", "John NNP B-PER\nsleeps O\n", r"a.conll: line 2 has 2 columns, not 3"),
        ("a.conll", "John B-PER\n\nde la O\n", "line 3 has 3 columns, not 2"),
        ("a.conll", "John\t\tB-PER\n", "line 1 has 2 columns, not 3"),
        ("a.conll", "\n \n\n", "holds no sentence"),
        ("a.conll", "", "holds no sentence"),
        ("a.conllu", "1\tJohn\tPROPN\n", "line 1 has 3 columns, not the 10 of CoNLL-U"),
        ("a.conllu", "# text = \n\n", "holds no sentence"),
        ("a.conllu", "1\tJohn" + "\t_" * 8 + "\n", "line 1: a word of this sentence has no upos"),
        ("a.jsonl", "{", "line 1 is not JSON"),
        ("a.jsonl", "[1]", "line 1 is not a JSON object"),
        ("a.jsonl", '{"tokens": ["a"]}', r"line 1: field 'tags' is no list .*\(it has tokens\)"),
        ("a.jsonl", '{"tokens": ["a", "b"], "tags": ["O"]}', "lists differ in length: 2 tokens, 1 tags"),
        ("a.jsonl", '{"tokens": ["a", 3], "tags": ["O", "O"]}', "'tokens' is no list of texts"),
    ],
)
def test_mistakes_are_named_with_file_and_line(
    write: Callable[[str, str], Path], name: str, text: str, message: str
) -> None:
    with pytest.raises(LangueError, match=message):
        read_tagged(write(name, text))


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_bytes(b"John O\n\xff O\n")
    with pytest.raises(LangueError, match="line 2: byte 0 is not UTF-8"):
        read_tagged(path)
    with pytest.raises(LangueError, match="no file"):
        read_tagged(tmp_path / "none.conll")


def test_conllu_keeps_what_is_not_tagged(write: Callable[[str, str], Path]) -> None:
    found = read_tagged(write("a.conllu", CONLLU))
    assert [sentence.words for sentence in found.sentences] == [("vamos", "nos", "mar"), ("Sí",)]
    assert found.sentences[0].tags == ("VERB", "PRON", "NOUN")
    tags = [sentence.tags for sentence in found.sentences]
    text = "".join(write_tagged(found.sentences, tags, "conllu", found.columns))
    assert text == CONLLU + "\n"
    other = "".join(write_tagged(found.sentences, [("A", "B", "C"), ("D",)], "conllu", found.columns))
    assert other.splitlines()[3].split("\t")[3] == "A"
    assert other.splitlines()[2] == CONLLU.splitlines()[2]  # the range is no word


@pytest.mark.parametrize("format", ["conll", "conllu", "jsonl"])
def test_every_format_comes_back_from_every_other(tmp_path: Path, format: str) -> None:
    sentences = [Sentence((("今", "天"),), ("B-T", "I-T")), Sentence((("x",),), ("O",))]
    columns = ("word", "xpos") if format == "conllu" else ("word", "tag")
    path = tmp_path / f"a.{format}"
    path.write_text("".join(write_tagged(sentences, [s.tags for s in sentences], format, columns)), "utf-8")
    found = read_tagged(path, TaggedConfig(columns=columns))
    assert [one[:2] for one in found.sentences] == [one[:2] for one in sentences]


def test_an_empty_sentence_of_json_lines_keeps_its_place(write: Callable[[str, str], Path]) -> None:
    rows = '{"tokens": ["a"], "tags": ["O"]}\n{"tokens": [], "tags": []}\n'
    assert [len(one.words) for one in read_tagged(write("a.jsonl", rows)).sentences] == [1, 0]


def test_packed(tmp_path: Path) -> None:
    path = tmp_path / "a.conllu.gz"
    path.write_bytes(gzip.compress(CONLLU.encode()))
    assert read_tagged(path).format == "conllu"


def test_characters_or_words(write: Callable[[str, str], Path]) -> None:
    assert unit_of(read_tagged(write("a.conll", CONLL)).sentences) == "words"
    assert unit_of([Sentence((tuple("今天天气很好"),))]) == "characters"
