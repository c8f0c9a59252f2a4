# Rounds of ToolACE-R on the tasks in tool-tasks.jsonl: `make -f tools.mk`. In each, the current model tries all tasks,
# and is trained on those within its reach and on its own answers, revised. Once a round selects the tasks of the round
# before, another one would change nothing. As in the Makefile, all targets always run.
SYNTH ?= synth
MODEL ?= Qwen/Qwen2.5-7B-Instruct
ENGINE ?= --model $(MODEL)
OUT ?= out
ROUNDS ?= 5
TRAINING ?=
export SYNTH_STALE ?= update

N ?= 1
ROUND := $(OUT)/tools-$(N)
BEFORE := $(OUT)/tools-$(shell expr $(N) - 1)

.PHONY: round next
round:
	$(SYNTH) refine tools tool-tasks.jsonl $(ROUND)/samples $(ENGINE)
	$(SYNTH) refine tools select $(ROUND)/samples $(ROUND)/lessons
	$(SYNTH) export $(ROUND)/lessons $(ROUND)/selected.jsonl --columns task_id --where "kind = 'call'" --force
	@if cmp -s $(BEFORE)/selected.jsonl $(ROUND)/selected.jsonl; then \
		echo 'Round $(N) selects the tasks of the round before.'; \
	elif [ $(N) -lt $(ROUNDS) ]; then $(MAKE) --file tools.mk next; fi

next:
	$(SYNTH) self-lengthen train $(ROUND)/lessons $(ROUND)/model --model $(MODEL) $(TRAINING)
	$(MAKE) --file tools.mk round N=$$(($(N) + 1)) MODEL=$(ROUND)/model
