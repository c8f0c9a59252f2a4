#!/usr/bin/env bash
# The whole chain on the first 200 questions of a GSM8K file, with any model (the embedded one by default), timed.
# usage: benchmarks/gsm8k_chain.sh GSM8K_TRAIN.jsonl [MODEL]
set -euo pipefail
questions=$(realpath "$1")
model=${2:-tiny}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
cd "$out"
for step in \
  "augment evolve $questions evolved --model $model --limit 200" \
  "augment respond evolved augmented --model $model" \
  "reject sample $questions samples --model $model --limit 200 -n 16" \
  "reject select samples accepted" \
  "reject curve samples curve"; do
  echo "synth $step"
  # A toy may have nothing to evolve from, which is an answer too.
  synth $step || echo "  exit $?"
done
