"""Bad input to every verb: exit code 2, one message on standard error, and nothing half-written.

A table of command lines. `{name}` stands for a file or folder of the fixture `given`.
"""

import os
import re
import shlex
from pathlib import Path

import pytest

import langue
from langue import cli

NOT_UTF8 = "'x\udcff'"
CONLL = "Anna B-PER\nsees O\nRome B-LOC\n\nBen B-PER\nleaves O\nParis B-LOC\n\n" * 6

PREPARE = """
prepare
prepare {ok}
prepare {ok} -o
prepare {ok} -o {ok}
prepare {ok} -o {ok}/below
prepare {ok} -o {mine}
prepare {ok} -o {mine} --overwrite
prepare {ok} -o {store}
prepare {ok} -o /
prepare {ok} -o {loop}
prepare {ok} -o {astray}
prepare {ok} -o {long}
prepare {ok} -o {long}/below
prepare nowhere.txt -o new
prepare {none} -o new
prepare {empty} -o new
prepare {blank} -o new
prepare {binary} -o new
prepare {latin} -o new
prepare {ok} -o new --documents nonsense
prepare '' -o new
prepare {ok} -o ''
prepare {ok} -o new --documents ''
prepare {ok} -o new --text-field ''
prepare {ok} -o new --gap-sentences 1.5
prepare {ok} -o new --gap-sentences nan
prepare {ok} -o new --documents summaries --gap-sentences 0.2
prepare {ok} -o new --invalid perhaps
prepare {ok} -o new --duplicates perhaps
prepare {ok} -o new --near-duplicates perhaps
prepare {ok} -o new --tokenizer nonsense
prepare {ok} -o new --tokenizer nowhere.json
prepare {ok} -o new --tokenizer {json}
prepare {ok} -o new --vocabulary 0
prepare {ok} -o new --vocabulary 1
prepare {ok} -o new --vocabulary -5
prepare {ok} -o new --vocabulary 99999999999
prepare {ok} -o new --vocabulary 99999999999999999999999
prepare {ok} -o new --vocabulary many
prepare {ok} -o new --valid nowhere.txt
prepare {ok} -o new --test nowhere.txt
prepare {ok} -o new --dropped {mine}
prepare {ok} -o new --dropped {ok} --overwrite
prepare {texts} -o new --dropped {texts}/a.txt --overwrite
prepare {texts} -o {texts} --overwrite
prepare {ok} -o new --dropped {spare}
prepare {ok} -o new --dropped nowhere/dropped
prepare what://bucket/corpus -o new
prepare {ok} -o what://bucket/store
prepare {ok} -o new --workers 0
prepare {ok} -o new --workers many
prepare {ok} -o new --workers 2 --scratch {ok}
prepare {latin} -o new --scratch .
prepare {ok} -o new --on the-moon
prepare {ok} -o new --recipe nowhere
prepare {ok} -o new --recipe {json}
prepare {ok} -o new --set documents
prepare {ok} -o new --set documents=[1,2]
prepare {ok} -o new --set documents=1
prepare {ok} -o new --set text_field=1
prepare {ok} -o new --set 'vocabulary=[[[['
prepare {ok} -o new --set vocabulary=0
prepare {ok} -o new --set vocabulary=1e3
prepare {ok} -o new --set sample_bytes=0
prepare {ok} -o new --set valid_fraction=1
prepare {ok} -o new --set valid_fraction=nan
prepare {ok} -o new --set valid_fraction=inf
prepare {ok} -o new --set valid_fraction=-0.1
prepare {ok} -o new --set valid_fraction=0.6 --set test_fraction=0.6
prepare {ok} -o new --set data.seed=-1
prepare {ok} -o new --set data.seed=99999999999999999999999
prepare {ok} -o new --set seed=1
prepare {ok} -o new --set unknown=1
prepare {ok} -o new --set =1
prepare {ok} -o new --unknown
"""

TRAIN = """
train ngram '' -o new
train ngram {store} -o ''
train '' {store} -o new
train
train ngram
train ngram {store}
train ngrams {store} -o new
train nowhere.toml {store} -o new
train {json} {store} -o new
train ngram nowhere -o new
train ngram {kn} -o new
train ngram {empty} -o new
train gpt2 {ok} -o new
train classifier {store} -o new
train ngram {store} -o {ok}
train ngram {store} -o {mine} --overwrite
train ngram {store} -o {kn}
train ngram {store} -o {store} --overwrite
train crf {conll} -o {conll} --overwrite
train bert {store} -o {bert} --overwrite --set init_from={bert}
train crf {pipe} -o new
train ngram {store} -o {loop}
train ngram {store} -o {long}
train gpt2 {store} -o {long}
train gpt2 {store} -o {longish}
train ngram what://bucket/store -o new
train ngram {store} -o what://bucket/model
train ngram {store} -o new --workers 0
train ngram {store} -o new --on clouds
train ngram {store} -o new --workers 2 --scratch {ok}
train markov {store} -o new --workers 2
train infinigram {store} -o new --set shard=0
train ngram {store} -o new --valid {ok}
train ngram {store} -o new --memory -1
train ngram {store} -o new --memory much
train ngram {store} -o new --dry-run
train ngram {store} -o new --set order=0
train ngram {store} -o new --set order=-1
train ngram {store} -o new --set order=99
train ngram {store} -o new --set order=2.5
train ngram {store} -o new --set order=[3]
train ngram {store} -o new --set order=
train ngram {store} -o new --set alpha=inf --set smoothing=add-k
train ngram {store} -o new --set alpha=nan
train ngram {store} -o new --set alpha=0
train ngram {store} -o new --set smoothing=nonsense
train ngram {store} -o new --set prune_entropy=inf
train ngram {store} -o new --set prune_entropy=-1
train ngram {store} -o new --set prune=3
train ngram {store} -o new --set prune=[2,1]
train ngram {store} -o new --set prune=[-1]
train ngram {store} -o new --set quantize=maybe
train ngram {store} -o new --set training.steps=3
train ngram {store} -o new --set memory=-1
train markov {store} -o new --set alpha=inf
train markov {store} -o new --set order=0
train infinigram {store} -o new --set alpha=nan
train class-ngram {store} -o new --set classes=0
train loglinear {store} -o new --set learning_rate=inf
train loglinear {store} -o new --set learning_rate=0
train loglinear {store} -o new --set learning_rate=1e15
train loglinear {store} -o new --set seed=-1
train hmm {store} -o new --set states=0
train hmm {store} -o new --set order=3
train hmm {store} -o new --set tolerance=nan
train gpt2 {store} -o new --set width=0
train gpt2 {store} -o new --set layers=0
train gpt2 {store} -o new --set heads=0
train gpt2 {store} -o new --set context=0
train gpt2 {store} -o new --set width=-8
train gpt2 {store} -o new --set width=7
train gpt2 {store} -o new --set width=1e12
train gpt2 {store} -o new --set size=huge
train gpt2 {store} -o new --set model.dropout=1
train gpt2 {store} -o new --set dropout=nan
train gpt2 {store} -o new --set learning_rate=0
train gpt2 {store} -o new --set learning_rate=inf
train gpt2 {store} -o new --set learning_rate=nan
train gpt2 {store} -o new --set learning_rate=1e15 --set layers=1 --set width=16 --set heads=1 --set steps=9
train gpt2 {store} -o new --set clip=0
train gpt2 {store} -o new --set clip=inf
train gpt2 {store} -o new --set minutes=inf
train gpt2 {store} -o new --set minutes=-1
train gpt2 {store} -o new --set steps=1.5
train gpt2 {store} -o new --set steps=99999999999999999999999
train gpt2 {store} -o new --set batch_tokens=0
train gpt2 {store} -o new --set evaluations=0
train gpt2 {store} -o new --set training.seed=-1
train gpt2 {store} -o new --set optimizer=sgdd
train gpt2 {store} -o new --set precision=float8
train gpt2 {store} -o new --set warmup=2
train gpt2 {store} -o new --set checkpoint_minutes=0
train gpt2 {store} -o new --set keep_checkpoints=0
train gpt2 {store} -o new --set tensorboard=1
train rnn {store} -o new --set width=0
train rnn {store} -o new --set cell=mlp
train charcnn {store} -o new --set characters=0
train nplm {store} -o new --set order=0
train nplm {store} -o new --set order=1
train transformer {store} -o new --set heads=0
train bert {store} -o new --set d_ff=0
train bert {store} -o new --set mlm_probability=0
train bert {store} -o new --set init_from=nowhere
train electra {store} -o new --set generator_heads=0
train albert {store} -o new --set embedding_size=0
train crf {store} -o new
train crf nowhere -o new
train crf {conll} -o new --resume
train crf {conll} -o new --valid nowhere
train crf {conll} -o new --set l2=-1
train crf {conll} -o new --set l2=inf
train crf {conll} -o new --set l1=nan
train crf {conll} -o new --set iterations=0
train crf {conll} -o new --set algorithm=newton
train crf {conll} -o new --set 'templates=["wrd"]'
"""

USE = """
info ''
score {kn} ''
score '' {ok}
evaluate {kn} ''
export {kn} -o ''
generate
generate nowhere x
generate {store} x
generate {crf} x
generate {bert} x
generate {kn} {bad}
generate {kn} x --stop {bad}
generate {kn} x --stop ''
generate {kn} x --max-tokens -1
generate {kn} x --max-tokens 99999999999999999999
generate {kn} x --temperature inf
generate {kn} x --temperature nan
generate {kn} x --temperature -1
generate {kn} x --top-k -1
generate {kn} x --top-p 1.5
generate {kn} x --top-p nan
generate {kn} x --min-p nan
generate {kn} x --repetition-penalty inf
generate {kn} x --repetition-penalty 0
generate {kn} x --presence-penalty nan
generate {kn} x --frequency-penalty 101
generate {kn} x --seed -1
generate {kn} x --seed 12345678901234567890123
generate {kn} x --seed one
generate {kn} x --num-beams -1
generate {kn} x --num-beams 100000
generate {kn} x --num-beams 3 --temperature 0.5
generate {kn} x --num-beams 3 --seed 1 --top-k 4
generate {kn} x --num-beams 3 --stop y
generate {kn} x --num-beams 3 --bias y=1
generate {kn} x --num-beams 3 --regex (y
generate {kn} x --ban ''
generate {kn} x --ban {bad}
generate {kn} x --bias
generate {kn} x --bias y
generate {kn} x --bias =1
generate {kn} x --bias y=much
generate {kn} x --bias y=nan
generate {kn} x --bias 'no such token=1'
generate {kn} x --regex {bad}
generate {kn} x --regex y --json-schema '{{}}'
generate {kn} x --json-schema nowhere.json
generate {kn} x --json-schema {binary}
generate {kn} x --json-schema '{{nope}}'
generate {kn} x -n 0
generate {kn} x -n many
generate {kn} x -n 3 --best-of 2
generate {kn} x --prompts {ok}
generate {kn} --prompts nowhere.txt
generate {kn} --prompts {empty}
generate {kn} --prompts {binary}
generate {kn} --prompts {latin}
generate {kn} --prompts {ok} --source x
generate {kn} --prompts {ok} --batch-size 0
generate {kn} --prompts {ok} --text-field ''
generate {kn} x --batch-size 4
generate {kn} x --text-field text
generate {kn} --sources {ok}
generate {kn} --source x
next
next nowhere x
next {bert} x
next {kn} {bad}
next {kn} x --top 0
next {kn} x --top 99999999999999999999
explain {kn}
explain {kn} {bad}
explain {kn} x --token 99
explain {kn} x --top 0
explain {kn} x --layer 1
explain {bert} x
fill {kn} x[MASK]
fill {bert} {bad}
fill {bert} 'no gap'
fill {bert} x[MASK] --top 0
fill {bert} x[MASK] --num-masks -1
fill {bert} x[MASK] --num-masks 99999999999999999999
fill {bert} x[MASK] --rounds 0
fill {bert} x[MASK] --temperature nan
fill {bert} x[MASK] --seed -1
score {kn}
score {kn} nowhere.txt
score {kn} what://bucket/text
score what://bucket/model {ok}
score {kn} {empty}
score {kn} {latin}
score {crf} {ok}
score {kn} {ok} --format nonsense
score {kn} {ok} --format kenlm --per-token
score {bert} {ok} --format kenlm
score nowhere {ok} --format kenlm
score {kn} {empty} --format kenlm
score {kn} {ok} --workers 0
score {kn} {ok} --on the-moon
score {kn} {latin} --workers 1 --scratch {ok}
embed {kn} {ok}
embed {bert} nowhere.txt
embed {bert} {empty}
embed {bert} {ok} --pooling max
embed {bert} {ok} -o {spare}
embed {bert} {ok} -o {ok} --overwrite
embed {bert} {ok} -o {bert}/model.json --overwrite
embed {bert} {ok} -o {mine}
embed {bert} {ok} -o nowhere/vectors.npy
tag {kn} x
tag {crf}
tag {crf} {bad}
tag {crf} {conll} --format nonsense
tag {crf} {conll} --to nonsense
tag {crf} {empty}
tag {crf} ''
tag {crf} ' ' --json
tag {crf} x --n-best -1
tag {crf} x --n-best 3 --marginals
tag {crf} x --json --to conllu
states {kn}
states {hmm} {bad}
states {hmm} ''
states {hmm} --top 0
inspect {kn}
inspect {crf} --top 0
find {kn} x
find {inf} {bad}
find {inf} x --limit -1
copied {kn} {ok}
copied {inf} nowhere.txt
copied {inf} {ok} --min-bytes 0
copied {inf} {ok} --limit -1
summarize nowhere.txt
summarize {empty}
summarize {binary}
summarize {ok} --model {kn}
summarize {ok} --method ranker
summarize {ok} --sentences 1 --ratio 0.5
summarize {ok} --method abstractive
summarize {ok} --method abstractive --model {kn}
summarize {ok} --max-tokens 5
summarize {ok} --num-beams 0
train ranker {ok} -o new
classify {kn} x
serve
serve {none}
serve {store}
serve {kn} {kn}
serve {kn} --name x
serve {kn} --name =x
serve {kn} --port 70000
serve {kn} --port x
serve {kn} --host 0.0.0.0
serve {kn} --api-key-file {empty}
serve {kn} --api-key-file {binary}
serve {kn} --base-path lm
serve {kn} --base-path /a?b
serve {kn} --timeout nan
serve {kn} --queue 0
serve {kn} --cors ''
serve {kn} --cors localhost
serve {kn} --corpus nowhere
serve {kn} --corpus {none}
serve {kn} --corpus {kn}
serve {kn} --memory 0
classify {crf} x
classify {cls} ''
classify {cls} nowhere.tsv
classify {cls} nowhere.jsonl
evaluate {cls} {tsv} --train nowhere.tsv
evaluate {cls} {tsv} --train {empty}
evaluate {kn} {ok} --train {tsv}
evaluate {bert} {tsv} --probe nowhere.tsv
evaluate {bert} {tsv} --probe {tsv} --similarity
evaluate {bert} {tsv} --probe {tsv} --labels 0
evaluate {bert} {tsv} --labels 5
evaluate {cls} {tsv} --labels 5
evaluate {kn} {tsv} --probe {tsv}
filter
filter {ok}
filter nowhere.txt --good {kn}
filter {empty} --good {kn}
filter {binary} --good {kn}
filter {ok} --good nowhere
filter {ok} --good {kn} -o new --workers 0
filter {ok} --good {kn} -o new --on the-moon
filter {ok} --good {kn} -o new --workers 1 --scratch {ok}
filter {ok} --good {crf}
filter {ok} --good {bert}
filter {ok} --good {kn} --keep 0
filter {ok} --good {kn} --keep 130%
filter {ok} --good {kn} --keep nan
filter {ok} --good {kn} --below nan
filter {ok} --good {kn} -o {ok}
filter {ok} --good {kn} -o {mine}
filter {ok} --good {kn} --text-field text
filter {ok} --other {kn}
filter {ok} --good {kn} --max-symbols 2
filter {ok} --good {kn} --max-symbols nan
filter {ok} --max-repeated nan
filter {ok} --min-bytes 10 --max-bytes 5
filter {ok} --good {kn} --score-field text
filter {ok} --good {kn} -o new.jsonl --format parquet
answer
answer 'Who?'
answer 'Who?' nowhere.txt
answer 'Who?' {empty}
answer 'Who?' {blank}
answer 'Who?' {binary}
answer 'Who?' {latin}
answer {bad} {ok}
answer nowhere.json
answer {empty} {ok}
answer 'Who?' {ok} --top 0
answer 'Who?' {ok} --threshold nan
answer 'Who?' {ok} --passages page
answer 'Who?' {ok} --text-field body
answer 'Who?' {store} --text-field body
answer 'Who?' {ok} --predictions new
answer '' {ok}
answer {blank} {ok}
answer 'Who?' {ok} --model nowhere
answer 'Who?' {ok} --model {bert}
similar x
similar {bad} {ok}
similar x nowhere.txt
similar x {blank}
similar x {ok} --top 0
similar x {ok} --whiten
similar x {ok} --pooling cls
similar ' ' {ok}
similar x {ok} --index new
similar x {ok} --model {kn}
similar x {ok} --model {bert} --index {mine}
similar x {ok} --model {bert} --index {bert} --overwrite
similar x {ok} --model {bert} --index {ok}
finetune
finetune {kn} {tsv} -o new
finetune {bert} nowhere -o new
finetune {bert} {empty} -o new
finetune {bert} {tsv} -o {mine}
finetune {bert} {tsv} -o {bert} --overwrite
finetune {bert} {tsv} -o {tsv} --overwrite
finetune {bert} {pipe} -o new
finetune {bert} {mine} -o new
finetune {bert} {nulls} -o new
finetune {bert} {lists} -o new
finetune {bert} {tsv} -o new --task nonsense
finetune {bert} {tsv} -o new --task summarize
finetune {bert} {tsv} -o new --task span
finetune {bert} {ok} -o new --task multilabel
finetune {bert} {nulls} -o new --task multilabel
finetune {bert} {empty} -o new --task simcse
finetune {bert} {tsv} -o new --task simcse --set dropout=0
finetune {bert} {json} -o new --task span
finetune {bert} {tsv} -o new --set epochs=0
finetune {bert} {tsv} -o new --set learning_rate=inf
finetune {bert} {tsv} -o new --set learning_rate=1e15 --set seeds=1
finetune {bert} {tsv} -o new --set seeds=0
finetune {bert} {tsv} -o new --set seed=-1
finetune {bert} {tsv} -o new --set init=middle
finetune {bert} {tsv} -o new --set patience=-1
finetune {bert} {tsv} -o new --set class_weights=rare
finetune {bert} {tsv} -o new --valid nowhere
evaluate
evaluate {kn}
evaluate nowhere {store}
evaluate {kn} nowhere
evaluate {kn} {mine}
evaluate {kn} {empty}
evaluate {kn} {store} --split tests
evaluate {kn} {store} --format nonsense
evaluate {crf} {empty}
evaluate {crf} {conll} --text-field word
evaluate {kn} {store} --text-field body
evaluate {kn} {ok} --text-field body
evaluate {kn} {ok} --source-field en
compare {kn} --on {store} --text-field body
compare --on {store}
compare {kn}
compare {kn} nowhere --on {store}
compare {kn} --on nowhere
compare {crf} --on {store}
gradients {kn} {store}
gradients nowhere {store}
gradients {kn} {store} --distance 0
gradients {kn} {store} --distance 99999999999999999999
import nowhere -o new
import {ok} -o new
import {mine} -o new
import {empty} -o new
import {ok} -o {mine}
import {pipe} -o new
import {bert} -o {bert} --overwrite
import /dev/zero -o new
export nowhere -o new.arpa
export {kn}
export {kn} -o {spare}
export {kn} -o s3://bucket/model
export {kn} -o {kn} --overwrite
export {kn} -o {kn}/model.json --overwrite
export {bert} -o {bert} --overwrite
export {kn} -o {mine}
export {kn} -o nowhere/new.arpa
export {crf} -o new
export {store} -o new
info
info nowhere
info {mine}
info {ok}
doctor nowhere
doctor {ok}
demo -o {ok}
demo -o {store} --overwrite
demo -o {kn} --overwrite
demo -o {mine} --overwrite
demo -o {bert}
demo -o new --minutes 0
demo -o new --minutes inf
demo -o new --minutes nan
families nonsense
states {hmm} nowhere.txt
states {hmm} {empty}
states {hmm} {mine}
prepare {kn} -o new
prepare {store} -o new
prepare {ok} -o new --split train
train gpt2 {store} -o new --set context=99999999999
train ngram {store} {store} -o new
generate {kn} x --regex ''
generate {kn} x --json-schema ''
generate {kn} x --num-beams 2 -n 3
generate {kn} x --min-tokens 10 --max-tokens 5
generate {kn} x --min-tokens 101
generate {kn} x --rounds 3
generate {bert} x --stop y
generate {kn} x y
score {kn} {kn}
score {kn} {ok} --text-field ''
embed {bert} {ok} --overwrite
embed {bert} {mine}
classify {cls} x --text-field text
classify {cls} {mine}
tag {crf} {mine}
tag {crf} {conll} --format conllu
explain {kn} ''
summarize {ok} --title-field title
summarize {ok} --method lexrank --num-beams 3
summarize {ok} --sentences 1 --words 5
answer 'Who?' {ok} --overwrite
answer 'Who?' {ok} --threshold 2
similar x {ok} --overwrite
similar x {kn}
filter {ok} --good {kn} --overwrite
filter {ok} --good {kn} --buckets
filter {ok} --good {kn} --score-field score --format text
filter {ok} --keep 0.5
filter {ok} --good {kn} --keep ''
filter {ok} --good {kn} --min-bytes 99999999999999999999
filter {ok} --good {kn} -o {none}
evaluate {kn} {store} --documents line
evaluate {kn} {store} --split ''
evaluate {crf} {conll} --check
compare {kn} {kn} --on {store} --on {ok}
import {kn} -o new
finetune {bert} {tsv} -o new --task ''
nonsense
--nonsense
"""


@pytest.fixture(scope="module")
def given(
    small_store: Path,
    small_models: dict[str, Path],
    small_text: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, str]:
    """Files and models by the name that the table gives them."""
    folder = tmp_path_factory.mktemp("given")
    for name, content in {
        "ok": b"A first text of some words.\n\nAnother one.\n" * 20,
        "empty": b"",
        "blank": b" \n\n\t\n",
        "binary": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        "latin": b"caf\xe9\n",
        "json": b"[]",
        "spare": b"what someone keeps",
        "conll": CONLL.encode(),
        "tsv": b"good text\tyes\nbad text\tno\n" * 30,
        "nulls": b'{"text": null, "label": "a"}\n',
        "lists": b'{"text": "a", "label": ["a"]}\n',
    }.items():
        (folder / f"{name}.txt").write_bytes(content)
    (folder / "json.txt").rename(folder / "json.json")
    for name in ("nulls", "lists"):
        (folder / f"{name}.txt").rename(folder / f"{name}.jsonl")
    os.mkfifo(folder / "pipe")
    (folder / "texts").mkdir()
    (folder / "texts" / "a.txt").write_text("what is read\n" * 30)
    (folder / "mine").mkdir()
    (folder / "mine" / "thesis").write_text("years of work")
    (folder / "none").mkdir()
    (folder / "loop").symlink_to("loop")
    (folder / "astray").symlink_to("no/where")
    tiny = {"layers": 1, "width": 16, "heads": 1, "context": 16, "steps": 2, "batch_tokens": 64}
    langue.train("bert", small_store, folder / "bert", **tiny)
    langue.train("infinigram", small_store, folder / "inf")
    langue.train("hmm", small_store, folder / "hmm", states=2, iterations=1)
    langue.train("crf", folder / "conll.txt", folder / "crf", iterations=3)
    langue.finetune(
        folder / "bert", folder / "tsv.txt", folder / "cls", valid=folder / "tsv.txt", epochs=1, seeds=1
    )
    found = {path.stem: str(path) for path in folder.iterdir()}
    return found | {
        "store": str(small_store),
        "kn": str(small_models["trigram"]),
        "long": str(folder / ("m" * 256)),
        "longish": str(folder / ("m" * 253)),  # with `.run` it is too long
        "bad": NOT_UTF8,
    }


def lines(table: str) -> list[str]:
    return table.strip().splitlines()


ALL = [line for table in (PREPARE, TRAIN, USE) for line in lines(table)]


def test_there_are_many_kinds_over_all_verbs() -> None:
    assert len(set(ALL)) == len(ALL) >= 150
    assert set(cli.VERBS) - {"recipes"} <= {line.split()[0] for line in ALL}


@pytest.mark.parametrize("line", ALL)
def test_bad_input(
    line: str,
    given: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    before = listing(Path(given["ok"]).parent)
    code = cli.run(shlex.split(line.format(**given)))
    printed = capsys.readouterr()
    assert code == 2, printed
    assert printed.out == ""
    assert "Traceback" not in printed.err
    assert not re.search(r"\blangue\.\w+\(", printed.err), "in the words of Python"
    said = printed.err.strip().splitlines()
    assert (len(said) == 1 and said[0].startswith("langue: ")) or "─ Error ─" in printed.err, printed.err
    assert not list(tmp_path.iterdir())
    assert listing(Path(given["ok"]).parent) == before


def listing(folder: Path) -> list[tuple[str, int]]:
    """All that is there, with the time of its last change."""
    return sorted((str(path), path.lstat().st_mtime_ns) for path in folder.rglob("*") if not path.is_dir())
