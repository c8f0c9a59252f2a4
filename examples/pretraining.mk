# From a corpus to sequences to pre-train on: documents without duplicates and without what a benchmark asks, drawn so
# that rare subjects count, put next to their nearest neighbours, and cut into sequences of powers of two. As in the
# Makefile, all targets always run, and `synth` decides what is stale.
SYNTH ?= synth
PYTHON ?= python3
OUT ?= out/pretraining
EMBEDDER ?= sentence-transformers/all-MiniLM-L6-v2
TOKENIZER ?= tiny
DOCUMENTS ?= 1000
export SYNTH_STALE ?= update

.PHONY: sequences corpus distinct clean-corpus embedded drawn ordered
.DELETE_ON_ERROR:

sequences: ordered
	$(SYNTH) pack buckets $(OUT)/$< $(OUT)/$@ --tokenizer $(TOKENIZER) --text text --min 4 --max 9

$(OUT)/docstrings.jsonl: docstrings.py
	mkdir -p $(OUT)
	$(PYTHON) $< > $@

corpus: $(OUT)/docstrings.jsonl
	$(SYNTH) sample $< $(OUT)/$@ -n $(DOCUMENTS)

distinct: corpus
	$(SYNTH) dedup $(OUT)/$< $(OUT)/$@ --text text --no-url

clean-corpus: distinct
	$(SYNTH) decontaminate $(OUT)/$< $(OUT)/$@ --against benchmark.jsonl --text text

embedded: clean-corpus
	$(SYNTH) embed $(OUT)/$< $(OUT)/$@ --embedder $(EMBEDDER) --text text

# As many draws as documents: the largest clusters lose what the smallest gain.
drawn: embedded
	$(SYNTH) select clusterclip $(OUT)/$< $(OUT)/$@ --vectors $(OUT)/$< --clusters 40 --max-repeats 4 -n $(DOCUMENTS)

ordered: drawn embedded
	$(SYNTH) pack neighbors $(OUT)/$< $(OUT)/$@ --vectors $(OUT)/embedded --text text --context-tokens 1024 --tokenizer $(TOKENIZER)
