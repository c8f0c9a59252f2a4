#!/usr/bin/env bash
# Runs a command while vLLM serves a model on the CPU: serving.sh MODEL-DIRECTORY COMMAND...
# The command finds in ENGINE the options with which `synth` asks the server, and waits for it only if it asks anything.
# The served name has a digest of the weights, because the protocol does not say which weights a server has.
set -euo pipefail
python=${PYTHON:-python3}
name=$(basename "$1")-$(sha256sum "$1/model.safetensors" | head -c 8)
port=$("$python" -c 'import socket; place = socket.create_server(("127.0.0.1", 0)); print(place.getsockname()[1])')
log=$(mktemp)
# The server ends with this script, however that ends. One that is told to end while it starts may never do, so it is killed
# after five seconds.
VLLM_CPU_KVCACHE_SPACE=1 VLLM_NO_USAGE_STATS=1 setpriv --pdeathsig TERM timeout --kill-after 5 0 \
    "$python" -m vllm.entrypoints.openai.api_server --model "$1" --served-model-name "$name" \
    --host 127.0.0.1 --port "$port" --dtype float32 --enforce-eager --no-enable-chunked-prefill \
    --structured-outputs-config '{"backend": "xgrammar", "disable_any_whitespace": true}' >"$log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || tail -n 20 "$log" >&2; wait "$server" || true; rm "$log"' EXIT
ENGINE="--base-url http://127.0.0.1:$port/v1 --model $name --engine-arg wait=600" "${@:2}"
