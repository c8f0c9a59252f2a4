#!/usr/bin/env bash
# Times `make demo` as a newcomer meets it, in a fresh clone and a fresh environment, against its bar of 360 seconds,
# and counts the example questions that got two or more distinct accepted paths, against the bar of three quarters.
set -euo pipefail
source=$(git -C "$(dirname "$0")" rev-parse --show-toplevel)
clone=$(mktemp -d)
trap 'rm -rf "$clone"' EXIT
git clone --quiet "$source" "$clone/synth"
started=$SECONDS
make --silent --directory "$clone/synth" demo >"$clone/out" 2>"$clone/err" || { tail -n 20 "$clone/err"; exit 1; }
seconds=$((SECONDS - started))
started=$SECONDS
make --silent --directory "$clone/synth" demo >/dev/null 2>&1
again=$((SECONDS - started))
"$clone/synth/.venv/bin/python" - "$clone/synth/examples/out/accepted/synth.json" "$seconds" "$again" <<'PYTHON'
import json, sys
tallies = json.load(open(sys.argv[1]))["counts"]["tallies"]
share = tallies["questions_with_2_distinct"] / tallies["questions"]
print(f"make demo, from clone to end: {sys.argv[2]} s (bar 360 s); a second time: {sys.argv[3]} s")
print(f"questions with 2+ distinct accepted paths of 16: {share:.1%} of {tallies['questions']:.0f} (bar 75%)")
PYTHON
