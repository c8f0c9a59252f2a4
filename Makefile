# Everything runs in an environment of its own, made from the lock; both set-up and runs are quick the second time.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PEERS ?= .venv-peers
GSM8K ?= ../shared/data/gsm8k-train.jsonl

.PHONY: help setup demo query-of-cc self-lengthen test soak bench bench-runner bench-sandbox bench-search bench-instag \
        bench-lengthen peers lint format tiny-model lock clean
.DEFAULT_GOAL := help

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-deps --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --config-settings editable_mode=compat --editable .
	touch $@

setup: $(VENV)/installed  ## Make the environment: CPU build of vLLM and the development tools

demo: setup  ## Evolve, respond, sample, select and show the example questions with the embedded model
	$(MAKE) --directory examples SYNTH=$(abspath $(BIN))/synth

query-of-cc: setup  ## Go from a few seeds to the documents of a domain
	$(MAKE) --directory examples SYNTH=$(abspath $(BIN))/synth $@

self-lengthen: setup  ## Let the embedded model learn to write longer from what it wrote, twice (ten minutes)
	$(MAKE) --directory examples SYNTH=$(abspath $(BIN))/synth $@

test: setup  ## Run the tests, and name the slowest
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=25

soak: setup  ## Kill runs at 200 random moments and see that nothing is lost (ten minutes)
	$(BIN)/python -m tests.faults.soak

bench: bench-runner bench-sandbox bench-search bench-instag bench-lengthen  ## All of what follows, hours of it

bench-runner: setup  ## Measure starting, running and stopping beside rivals (half an hour; GSM8K=FILE: paths to select)
	$(BIN)/python benchmarks/startup.py --peers-python $(PEERS)/bin/python
	$(BIN)/python benchmarks/overhead.py --peers-python $(PEERS)/bin/python
	$(BIN)/python benchmarks/over_http.py --peers-python $(PEERS)/bin/python
	$(BIN)/python benchmarks/journal.py
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/select_paths.py $(GSM8K)
	$(BIN)/python benchmarks/parity.py

bench-sandbox: setup  ## Measure running programs, in each jail and beside other ways (ten minutes)
	$(BIN)/python benchmarks/sandboxes.py

bench-search: setup  ## Measure search and deduplication beside rivals (two hours, 40 GB of disk under TMPDIR)
	$(BIN)/python benchmarks/search.py --peers-python $(PEERS)/bin/python
	$(BIN)/python benchmarks/dense.py
	$(BIN)/python benchmarks/dedup.py --peers-python $(PEERS)/bin/python
	$(BIN)/python benchmarks/search_memory.py

bench-instag: setup  ## Measure tags of ten million rows beside rivals (half an hour)
	$(BIN)/python benchmarks/instag_normalize.py --embedder characters --peers-python $(PEERS)/bin/python
	$(BIN)/python benchmarks/instag_select.py

bench-lengthen: setup  ## Measure whether extending keeps the engine busy (ten minutes)
	$(BIN)/python benchmarks/self_lengthen.py --rows 32 -n 2 --rounds 1 --engine-arg max_num_seqs=16

$(PEERS)/installed: benchmarks/peers.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --no-deps --requirement benchmarks/peers.txt
	touch $@

peers: $(PEERS)/installed  ## Install the rivals that the measurements have, in an environment of their own

lint: setup  ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup  ## Put the code into the house format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

tiny-model: setup  ## Train the embedded model from nothing (two hours on two cores)
	$(BIN)/python -m tiny_model.train --out pipelines/engines/tiny

# Left out: CUDA builds that break `import transformers` beside the CPU build of torch, and a compiler for GPUs.
lock:  ## Resolve requirements.lock anew (needs uv)
	uv pip compile pyproject.toml --extra cpu --extra report --extra train --extra math --extra dev --no-annotate --no-header --quiet \
	  | grep -Ev '^(torchvision|torchaudio|torchcodec|triton)==' | sed 's/+cpu//' > requirements.lock

clean:  ## Remove what the demo made
	$(MAKE) --directory examples clean
