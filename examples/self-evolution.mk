# SELF (arXiv 2310.00533): a stronger model shows a student how to judge and to refine its answers; then three rounds, in
# which the student is trained on those of its refined answers that it finds good itself. After each training a held-out
# set with gold answers is answered: stop the loop when `right before` falls there. As in the Makefile, all targets
# always run, and `synth` decides what is stale.
SYNTH ?= synth
OUT ?= out/self
QUESTIONS ?= questions.jsonl
STUDENT ?= Qwen/Qwen2.5-1.5B-Instruct
LABELLER ?= Qwen/Qwen2.5-72B-Instruct
TRAINING ?=
export SYNTH_STALE ?= update

.PHONY: rounds round skills student-0
rounds: student-0
	$(MAKE) --file self-evolution.mk round N=1 BEFORE=0
	$(MAKE) --file self-evolution.mk round N=2 BEFORE=1
	$(MAKE) --file self-evolution.mk round N=3 BEFORE=2

# Meta-skills, from answers of the student itself.
skills:
	$(SYNTH) split $(QUESTIONS) $(OUT)/held-out --to 0.2
	$(SYNTH) split $(QUESTIONS) $(OUT)/prompts-1 --from 0.2
	$(SYNTH) reject sample $(OUT)/prompts-1 $(OUT)/answers --model $(STUDENT) --prompt chat -n 1
	$(SYNTH) refine skills $(OUT)/answers $(OUT)/$@ --model $(LABELLER)

student-0: skills
	$(SYNTH) self-lengthen train $(OUT)/skills $(OUT)/$@ --model $(STUDENT) $(TRAINING)

# Round 1 asks the questions that there are, the next ones those that the student makes of the last ones. Each training
# begins with the first model and has all data, the meta-skills included: trained on new data alone, a model forgets.
N ?= 1
BEFORE ?= 0
DATA = $(OUT)/skills $(foreach round,$(wordlist 1,$(N),1 2 3),$(OUT)/refined-$(round))
round:
ifneq ($(N),1)
	$(SYNTH) augment evolve $(OUT)/prompts-$(BEFORE) $(OUT)/prompts-$(N) --model $(OUT)/student-$(BEFORE) --tries 3
endif
	$(SYNTH) refine self $(OUT)/prompts-$(N) $(OUT)/refined-$(N) --model $(OUT)/student-$(BEFORE) --prompt solve
	$(SYNTH) self-lengthen train $(DATA) $(OUT)/student-$(N) --model $(STUDENT) $(TRAINING)
	$(SYNTH) refine self $(OUT)/held-out $(OUT)/held-out-$(N) --model $(OUT)/student-$(N) --prompt solve --no-filter
