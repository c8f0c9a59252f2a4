# Two rounds of Self-Lengthen with its training, which take about ten minutes on two cores: `make self-lengthen`. A model
# writes texts, extends them, and is trained on the result; then the trained pair repeats it. The last step prints the
# mean length of the accepted texts of each round; the third line is that of drafts by the model after two rounds of
# training. The texts of all rounds are in $(OUT)/texts. As in the Makefile, all targets always run.
SYNTH ?= synth
PYTHON ?= python3
MODEL ?= tiny
OUT ?= out
export SYNTH_STALE ?= update

ROUNDS := $(OUT)/lengthen-1 $(OUT)/lengthen-2

.PHONY: rounds
rounds:
	$(MAKE) --file self-lengthen.mk iteration N=1
	$(MAKE) --file self-lengthen.mk iteration N=2 GENERATOR=$(OUT)/lengthen-1/generator EXTENDER=$(OUT)/lengthen-1/extender
	$(MAKE) --file self-lengthen.mk drafts N=3 GENERATOR=$(OUT)/lengthen-2/generator
	$(SYNTH) self-lengthen curate $(ROUNDS:%=%/drafts) $(ROUNDS:%=%/extended) $(OUT)/texts --role generator
	$(PYTHON) lengths.py $(ROUNDS) $(OUT)/lengthen-3

# One round. With another SEED the model writes other instructions.
N ?= 1
SEED ?= 0
GENERATOR ?= $(MODEL)
EXTENDER ?= $(MODEL)
ROUND := $(OUT)/lengthen-$(N)
INSTRUCTIONS ?= 24
TEXTS ?= --tries 5 --max-tokens 1024
EXTENSION ?= --rounds 1
# The paper's learning rate is for adapters of large models and thousands of texts.
TRAINING ?= --epochs 2 --batch 4 --learning-rate 2e-4
# One GPU has room for one engine or one training, so with -j they wait for each other.
GPU := flock self-lengthen.mk $(SYNTH)

.PHONY: iteration instructions drafts long-drafts extended long for-generator for-extender generator extender
iteration: generator extender

# Ids are unique across rounds, so that the texts of all rounds can be collected.
instructions:
	mkdir -p $(ROUND)
	sed 's/"id": "/&round-$(N)-/' instructions.jsonl > $(ROUND)/seeds.jsonl
	$(GPU) self-lengthen instruct $(ROUND)/seeds.jsonl $(ROUND)/$@ --model $(MODEL) -n $(INSTRUCTIONS) --seed $(SEED)$(N)

drafts: instructions
	$(GPU) self-lengthen draft $(ROUND)/$< $(ROUND)/$@ --model $(GENERATOR) $(TEXTS)

long-drafts: drafts
	$(SYNTH) self-lengthen drop-short $(ROUND)/$< $(ROUND)/$@

extended: long-drafts
	$(GPU) self-lengthen extend $(ROUND)/$< $(ROUND)/$@ --model $(EXTENDER) $(EXTENSION) $(TEXTS)

long: extended
	$(SYNTH) self-lengthen drop-short $(ROUND)/$< $(ROUND)/$@

for-generator for-extender: for-%: long
	$(SYNTH) self-lengthen curate $(ROUND)/$< $(ROUND)/$@ --role $*

generator: for-generator
	$(GPU) self-lengthen train $(ROUND)/$< $(ROUND)/$@ --model $(GENERATOR) $(TRAINING)

extender: for-extender
	$(GPU) self-lengthen train $(ROUND)/$< $(ROUND)/$@ --model $(EXTENDER) $(TRAINING)
