# usage: data_juicer_sample.sh QUESTIONS OUT BASE_URL MODEL
export OPENAI_BASE_URL="$3" OPENAI_API_KEY=none SYSTEM="$(dirname "$1")/system.txt"
cd "$(dirname "$0")" &&
dj-process --config data_juicer_sample.yaml --dataset_path "$1" --export_path "$2/accepted.jsonl" --job_id sample
