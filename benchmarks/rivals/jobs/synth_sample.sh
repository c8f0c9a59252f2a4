# usage: synth_sample.sh QUESTIONS OUT BASE_URL MODEL
set -e
synth reject sample "$1" "$2/samples" --base-url "$3" --model "$4" --prompt chat -n 4
synth reject select "$2/samples" "$2/selected" --no-gold
synth export "$2/selected" "$2/accepted.jsonl"
