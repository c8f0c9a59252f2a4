# usage: synth_in_process.sh QUESTIONS OUT BASE_URL MODEL; the model is named, the server is not used.
set -e
synth reject sample "$1" "$2/samples" --model "$4" --prompt chat -n 4
synth reject select "$2/samples" "$2/selected" --no-gold
synth export "$2/selected" "$2/accepted.jsonl"
