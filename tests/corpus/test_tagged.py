"""Readers and writers of labeled files: what they accept, what they refuse, and that nothing is lost."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from langue.base.errors import LangueError
from langue.corpus.tagged import Layout, Sentence, TaggedConfig, read_tagged, unit_of
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
        ("a.conll", "John\t\tB-PER\n", r"line 1 has 3 columns \(one is empty\), not 3"),
        (
            "a.conll",
            "John\tB-PER\nlives\tO\t\n",
            r"line 2 has 3 columns \(one is empty\), not 2",
        ),
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


def test_old_line_ends_end_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_bytes("Élise B-PER\rsleeps O\r\r二 O\r".encode())
    assert [sentence.words for sentence in read_tagged(path).sentences] == [("Élise", "sleeps"), ("二",)]


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


LABEL_STUDIO = "-DOCSTART- -X- O\nJohn -X- _ P\nlives -X- _ O\nhere -X- _ O\n\nMary -X- _ P\nsings -X- _ O\n"
JOHN = (("John", "lives", "here"), ("Mary", "sings"))


@pytest.mark.parametrize(
    ("text", "columns", "documents"),
    [
        ("-DOCSTART-\tO\nJohn\tP\nlives\tO\nhere\tO\n\nMary\tP\nsings\tO\n\n", (), [2, 2]),
        ("John\tP\nlives\tO\nhere\tO\n-DOCSTART-\tO\nMary\tP\nsings\tO\n", (), [0, 1]),
        ("-DOCSTART- -DOCSTART- O\nJohn N P\nlives V O\nhere R O\n\nMary N P\nsings V O\n", (), [2, 2]),
        # Label Studio's export: the mark has another width than the tokens.
        (LABEL_STUDIO, (), [2, 2]),
        (LABEL_STUDIO, ("word", "-", "-", "tag"), [2, 2]),
        ("-DOCSTART-\nJohn P\nlives O\nhere O\n\n-DOCSTART-\n\nMary P\nsings O\n-DOCSTART-", (), [1, 1]),
        ("#begin document (x)\nJohn P\nlives O\nhere O\n\nMary P\nsings O\n\n#end document\n", (), [2, 2]),
        ("# id 7 domain=en\nJohn P\nlives O\nhere O\n\n# id 8 domain=en\nMary P\nsings O\n", (), [0, 0]),
        # An index before the word, and what stands behind the tag.
        ("1 John P _\n2 lives O _\n3 here O _\n\n1 Mary P _\n2 sings O _", ("-", "word", "tag", "-"), [0, 0]),
        ("P John\nO lives\nO here\n\nP Mary\nO sings\n", ("tag", "word"), [0, 0]),
        # Blanks at the edges of columns.
        ("John \tP \nlives\t O\nhere\tO\n\nMary\tP\nsings\tO \n", (), [0, 0]),
    ],
)  # fmt: skip
def test_no_sentence_is_lost(
    write: Callable[[str, str], Path], text: str, columns: tuple[str, ...], documents: list[int]
) -> None:
    found = read_tagged(write("a.conll", text), TaggedConfig(columns=columns))
    assert tuple(sentence.words for sentence in found.sentences) == JOHN
    assert [sentence.tags for sentence in found.sentences] == [("P", "O", "O"), ("P", "O")]
    assert [len(sentence.document) for sentence in found.sentences] == documents
    tags = [sentence.tags for sentence in found.sentences]
    copy = "".join(write_tagged(found.sentences, tags, "conll", found.columns))
    again = read_tagged(write("b.conll", copy), TaggedConfig(columns=found.columns))
    assert [one[:2] for one in again.sentences] == [one[:2] for one in found.sentences]
    assert [one.document for one in again.sentences] == [one.document for one in found.sentences]


def test_only_marks_are_no_sentence(write: Callable[[str, str], Path]) -> None:
    with pytest.raises(LangueError, match="holds no sentence"):
        read_tagged(write("a.conll", "-DOCSTART- O\n\n-DOCSTART- O\n"))
    assert read_tagged(write("b.conll", "# O\n5 O\n")).sentences[0].words == ("#", "5")


def test_what_is_passed_over_comes_back(write: Callable[[str, str], Path]) -> None:
    text = "# id 7\n1\tJohn\tP\tx\n2\tlives\tO\ty\n\n"
    found = read_tagged(write("a.conll", text), TaggedConfig(columns=("-", "word", "tag", "-")))
    assert "".join(write_tagged(found.sentences, [("A", "B")], "conll", found.columns)) == (
        "# id 7\n1\tJohn\tA\tx\n2\tlives\tB\ty\n\n"
    )
    bare = write("b.conll", "1\tJohn\n")
    layout = TaggedConfig(columns=("-", "word", "tag"))
    (sentence,) = read_tagged(bare, layout, tags=False).sentences
    assert "".join(write_tagged([sentence], [("A",)], "conll", layout.columns)) == "1\tJohn\tA\n\n"


@pytest.mark.parametrize(
    "text",
    [
        "-DOCSTART-\t-DOCSTART-\tO\nJohn\tN\tP\n\nlives\tV\tO\n\n-DOCSTART-\t-DOCSTART-\tO\n\n\nMary\tN\tP\n\n",
        "-DOCSTART-\t-X-\tO\n\nJohn\tN\tP\n\n-DOCSTART-\t(7)\tO\n# id 8\nMary\tN\tP\n\n",
        "-DOCSTART-\nJohn\tN\tP\n\n-DOCSTART-\t-X-\tO\n\nMary\tN\tP\n\n",
    ],
)
def test_marks_of_documents_come_back_as_they_stood(write: Callable[[str, str], Path], text: str) -> None:
    found = read_tagged(write("a.conll", text))
    tags = [sentence.tags for sentence in found.sentences]
    assert "".join(write_tagged(found.sentences, tags, "conll", found.columns)) == text


def test_other_fields_of_json_lines_come_back(write: Callable[[str, str], Path]) -> None:
    text = (
        '{"id": 7, "tokens": ["北"], "document": "d-17", "meta": {"by": null}}\n'
        '{"id": 8, "tokens": ["b"], "tags": ["O"], "document": "d-17"}\n'
        '{"tokens": ["c"], "tags": ["O"], "document": "d-18"}\n'
    )
    found = read_tagged(write("a.jsonl", text), tags=False)
    assert [len(one.document) for one in found.sentences] == [2, 2, 1]
    copy = "".join(write_tagged(found.sentences, [("X",)] * 3, "jsonl", found.columns))
    expected = [json.loads(line) | {"tags": ["X"]} for line in text.splitlines()]
    assert [json.loads(line) for line in copy.splitlines()] == expected


@pytest.mark.parametrize(
    "columns", [("tag",), ("word",), ("word", "word"), ("word", "a", "a"), ("a", "b"), ("tag", "-")]
)
def test_columns_that_cannot_be(columns: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="columns"):
        TaggedConfig(columns=columns).check()


def rows(*fields: tuple[str, str, str, str, str]) -> str:
    """CoNLL-U of word, upos, xpos, feats and misc."""
    return "".join(
        "\t".join([str(n), word, "_", upos, xpos, feats, "_", "_", "_", misc]) + "\n"
        for n, (word, upos, xpos, feats, misc) in enumerate(fields, 1)
    )


TWO = rows(
    ("der", "DET", "_", "Case=Nom|Number=Sing", "name=B-PER|SpaceAfter=No"), ("ja", "PART", "PTK", "_", "_")
)


@pytest.mark.parametrize(
    ("column", "tags", "others", "written"),
    [
        ("feats", ("Case=Nom|Number=Sing", "_"), ("_", "_"), TWO.replace("Case=Nom|Number=Sing", "_")),
        ("feats.Case", ("Nom", "_"), ("Dat", "_"), TWO.replace("Nom", "Dat")),
        ("xpos", ("?", "PTK"), ("ART", "PTK"), TWO.replace("DET\t_", "DET\tART")),
        ("misc.name", ("B-PER", "O"), ("O", "O"), None),
    ],
)
def test_columns_of_conllu_with_gaps(
    write: Callable[[str, str], Path],
    column: str,
    tags: tuple[str, ...],
    others: tuple[str, ...],
    written: str | None,
) -> None:
    found = read_tagged(write("a.conllu", TWO), TaggedConfig(columns=("word", column)))
    assert found.sentences[0].tags == tags
    text = "".join(write_tagged(found.sentences, [others], "conllu", found.columns))
    if written is not None:
        assert text == written + "\n"
    else:
        assert text.splitlines()[0].endswith("name=O|SpaceAfter=No")


def test_a_gap_names_its_line_and_what_to_write(write: Callable[[str, str], Path]) -> None:
    text = "# text = a b\n" + rows(("a", "X", "_", "_", "_"), ("b", "_", "_", "_", "_"))
    with pytest.raises(LangueError, match=r"line 3: a word of this sentence has no upos; .* write \?"):
        read_tagged(write("a.conllu", text))


def test_conllu_of_another_name(write: Callable[[str, str], Path]) -> None:
    for name in ("a.txt", "a.conll", "a"):
        found = read_tagged(write(name, "# newdoc\n" + TWO))
        assert found.format == "conllu"
        assert found.sentences[0].tags == ("DET", "PART")
    for asked, trained, other, expected in (
        ("conllu", "u.txt", "v.txt", "conllu"),
        ("conllu", "u.txt", "v.jsonl", "auto"),
        ("conll", "u.conllu", "v.conllu", "conll"),
        ("auto", "u.txt", "v.txt", "auto"),
    ):
        layout = Layout(("word", "upos"), asked, Path(trained).suffix)
        assert layout.config(Path(other)).format == expected
        assert layout.config(Path(other), "jsonl").format == "jsonl"


@pytest.mark.parametrize("format", ["conll", "conllu"])
@pytest.mark.parametrize("word", ["a\tb", "a\nb"])
def test_a_token_that_cannot_stand_in_columns(format: Any, word: str) -> None:
    sentence = Sentence(((word,),), ("O",), "f: line 1")
    with pytest.raises(LangueError, match=r"f: line 1: .* write JSON lines"):
        list(write_tagged([sentence], [("O",)], format, ("word", "tag")))


def test_documents_are_written_as_conllu(write: Callable[[str, str], Path]) -> None:
    one, two = ((("a",),),), ((("b",),),)
    sentences = [Sentence(document[0], ("X",), document=document) for document in (one, two)]
    copy = "".join(write_tagged(sentences, [("X",), ("X",)], "conllu", ("word", "upos")))
    assert [one.document for one in read_tagged(write("a.conllu", copy)).sentences] == [one, two]
