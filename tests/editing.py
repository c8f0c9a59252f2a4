"""The story of an edit: four chained steps, then rows are added and edited and a threshold changes."""

import json
from dataclasses import dataclass
from pathlib import Path

from synth.schemas.dataset import Dataset
from tests.command import run_synth
from tests.counting_server import CountingServer, counting_server
from tests.rows import rows_of, write_rows


@dataclass(frozen=True)
class Story:
    """What an edit cost. `asked_at_first` requests made the first result, `asked_again` the second one."""

    asked_at_first: int
    asked_again: int
    # Requests of the update that mention no row that was added or edited.
    needless: int
    rows: int
    same_bytes: bool


def score(seed: int) -> str:
    return json.dumps({"reason": "It is as it is.", "score": seed % 5 + 1})


def question(number: int, text: str = "plain") -> dict[str, str]:
    return {"id": f"q-{number}", "question": f"Question {number} is {text}."}


def run_steps(folder: Path, server: CountingServer, threshold: int) -> Path:
    """answers: map, judged: judge, good: filter, thanks: map. Returns the last output."""
    (folder / "answer.md").write_text("# user\n{{ question }}\n")
    (folder / "rubric.md").write_text("{{ question }}\n{{ response }}\n")
    (folder / "thank.md").write_text("# user\nThank for: {{ question }} {{ score }}\n")
    engine = ("--engine", "openai", "--base-url", server.url, "--model", "counted")
    for command in (
        ("map", "questions.jsonl", "answers", "--prompt", "answer.md", *engine),
        ("judge", "answers", "judged", "--rubric", "rubric.md", "--no-schema", *engine),
        ("filter", "judged", "good", "--where", f"score >= {threshold}"),
        ("map", "good", "thanks", "--prompt", "thank.md", "--into", "thanks", *engine),
    ):
        done = run_synth(*command, folder=folder, SYNTH_STALE="update")
        assert done.returncode == 0, done.stderr
    return folder / "thanks"


def tell(folder: Path, rows: int, added: int, edited: int) -> Story:
    (folder / "edited").mkdir()
    (folder / "from-nothing").mkdir()
    before = [question(number) for number in range(rows)]
    after = [question(number, "edited" if number < edited else "plain") for number in range(rows)]
    after += [question(rows + number, "added") for number in range(added)]
    with counting_server(says=score) as server:
        write_rows(folder / "edited" / "questions.jsonl", before)
        run_steps(folder / "edited", server, 3)
        asked_at_first = len(server.asked)
        write_rows(folder / "edited" / "questions.jsonl", after)
        updated = run_steps(folder / "edited", server, 2)
        update = server.asked[asked_at_first:]
        write_rows(folder / "from-nothing" / "questions.jsonl", after)
        whole = run_steps(folder / "from-nothing", server, 2)
    # The last step has rows that only the lower threshold let through.
    newly_kept = {row["question"] for row in rows_of(updated) if row["score"] < 3}
    changed = {row["question"] for row in after} - {row["question"] for row in before} | newly_kept
    needless = [body for body in update if not any(text in str(body["messages"]) for text in changed)]
    same = [[*Dataset.open(out).checksums.values()] for out in (updated, whole)]
    return Story(asked_at_first, len(update), len(needless), len(rows_of(updated)), same[0] == same[1])
