#!/usr/bin/env bash
# Times `make demo` as a newcomer meets it, in a fresh clone and a fresh environment, then without the installation and
# once more with nothing to do; and prints the yields of its steps beside their bars. With a folder of outputs, such as
# examples/out, it prints the yields only.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
if (($#)); then
    exec "${PYTHON:-python3}" "$here/yields.py" "$1"
fi
clone=$(mktemp -d)
trap 'rm -rf "$clone"' EXIT
git clone --quiet "$(git -C "$here" rev-parse --show-toplevel)" "$clone/synth"
# Seconds of `make demo`.
demo() {
    local started=$SECONDS
    make --silent --directory "$clone/synth" demo >"$clone/out" 2>"$clone/err" || { tail -n 20 "$clone/err" >&2; exit 1; }
    echo $((SECONDS - started))
}
whole=$(demo)
again=$(demo)
make --silent --directory "$clone/synth" clean
installed=$(demo)
sed -n '/^step/,$p' "$clone/out"
echo "make demo, from clone to end: $whole s (bar 600 s); installed already: $installed s (bar 300 s); again: $again s"
"$clone/synth/.venv/bin/python" "$here/yields.py" "$clone/synth/examples/out"
