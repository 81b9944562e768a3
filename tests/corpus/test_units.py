"""What a summary is chosen from: sentences, clauses and lines, without headings."""

from langue.corpus.units import split_document

NEWS = "Rain comes to town\n\nIt rained. It will rain.\n\nWhat follows\n\nThe sun may shine.\n"


def test_headings_are_no_sentences_and_the_first_is_the_title() -> None:
    document = split_document(NEWS)
    assert document.title == "Rain comes to town"
    assert document.sentences == ["It rained.", "It will rain.", "The sun may shine."]
    assert list(document.opens) == [True, False, True]
    assert split_document(NEWS, "Another").title == "Another"


def test_offsets_are_of_the_text() -> None:
    document = split_document(NEWS)
    assert [NEWS[begin:end] for begin, end in document.spans] == document.sentences


def test_a_list_of_titles_is_what_there_is_to_choose_from() -> None:
    document = split_document("One title\nAnother title\nA third")
    assert document.sentences == ["One title", "Another title", "A third"]
    assert document.title == ""


def test_clauses_end_at_commas_of_both_languages() -> None:
    text = "采用新方法,建立了模型；结果表明，方法有效.它很好。"
    assert split_document(text, unit="clause").sentences == [
        "采用新方法", "建立了模型", "结果表明", "方法有效.", "它很好。"
    ]  # fmt: skip
    assert split_document("He came, he saw 1,000 men.", unit="clause").sentences == [
        "He came",
        "he saw 1,000 men.",
    ]


def test_lines_are_turns() -> None:
    text = "#1#: Hello. How are you?\n\n#2#: Fine\n"
    assert split_document(text, unit="line").sentences == ["#1#: Hello. How are you?", "#2#: Fine"]


def test_nothing_has_no_sentences() -> None:
    assert split_document("").sentences == split_document(" \n\n").sentences == []
