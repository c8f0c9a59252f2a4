"""The whole chain on a few example questions, written by the embedded model under real vLLM."""

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path

import pytest
from datasets import load_from_disk

ROOT = Path(__file__).parents[2]
QUESTIONS = 8
# One command after the other in a process that loads vLLM's code once, and the model for each.
SYNTH = """
import sys
from synth.cli.main import main
for command in sys.stdin.read().splitlines():
    sys.argv = ["synth", *command.split()]
    try:
        main()
    except SystemExit as ended:
        if ended.code:
            sys.exit(f"{command} ended with {ended.code}")
"""
COMMANDS = """\
augment evolve questions.jsonl evolved --model tiny --tries 3
augment respond evolved augmented --model tiny
reject sample questions.jsonl samples --model tiny -n 16
reject select samples accepted
reject curve samples curve
export accepted accepted.jsonl --as messages
"""


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which every step of the chain has run."""
    if find_spec("vllm") is None:
        pytest.skip("vLLM is not installed, and nothing else runs the embedded model")
    folder = tmp_path_factory.mktemp("chain")
    lines = (ROOT / "examples" / "questions.jsonl").read_text().splitlines()
    (folder / "questions.jsonl").write_text("\n".join(lines[:: len(lines) // QUESTIONS][:QUESTIONS]))
    chain = [sys.executable, "-c", SYNTH]
    done = subprocess.run(chain, cwd=folder, input=COMMANDS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (folder / "said.txt").write_text(done.stderr)
    return folder


def test_only_synth_speaks_on_stderr(chain: Path) -> None:
    # A summary, its indented lines, the file of the export, and progress every half minute.
    ours = r"(evolved|augmented|samples|accepted|curve|accepted\.jsonl)\b.*|  .*|(augment|reject) \w+: \d+/.*"
    lines = (chain / "said.txt").read_text().splitlines()
    assert [line for line in lines if not re.fullmatch(ours, line)] == []


def test_questions_are_evolved_into_five_kinds_each(chain: Path) -> None:
    evolved = load_from_disk(str(chain / "evolved"))
    assert len(evolved) >= 5 * QUESTIONS // 2
    for _, five in groupby(evolved, key=lambda row: row["parent_id"]):
        assert [row["evolution_type"] for row in five] == [1, 2, 3, 4, 5]


def test_responses_show_their_descent_and_agree(chain: Path) -> None:
    augmented = load_from_disk(str(chain / "augmented"))
    evolved = set(load_from_disk(str(chain / "evolved"))["id"])
    assert {row["query_id"] for row in augmented} <= evolved
    assert all(row["id"].startswith(f"{row['query_id']}/path-") for row in augmented)


def test_most_questions_get_two_distinct_accepted_paths(chain: Path) -> None:
    accepted = [row for row in load_from_disk(str(chain / "accepted")) if row["origin"] == "sampled"]
    keys: dict[str, set[str]] = {}
    for row in accepted:
        assert row["key"] not in keys.setdefault(row["query_id"], set())
        keys[row["query_id"]].add(row["key"])
    assert sum(len(found) >= 2 for found in keys.values()) > QUESTIONS / 2


def test_every_sampled_path_is_accepted_or_rejected_with_a_reason(chain: Path) -> None:
    record = json.loads((chain / "accepted" / "synth.json").read_text())
    assert record["input_rows"] == 16 * QUESTIONS
    assert record["counts"]["produced"] + record["counts"]["rejected"] == 16 * QUESTIONS
    assert len(load_from_disk(str(chain / "accepted" / "rejected"))) == record["counts"]["rejected"]


def test_the_export_is_a_chat_for_each_accepted_row(chain: Path) -> None:
    chats = [json.loads(line)["messages"] for line in (chain / "accepted.jsonl").read_text().splitlines()]
    assert len(chats) == len(load_from_disk(str(chain / "accepted")))
    assert all([message["role"] for message in chat] == ["user", "assistant"] for chat in chats)
