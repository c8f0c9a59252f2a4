"""Published completions of GSM8K's test questions, judged by their answers, beside the flags published with them.

usage: published_answers.py EXAMPLE_MODEL_SOLUTIONS.jsonl

The file is that of the repository of GSM8K: each line has a `question`, its `ground_truth`, and for each of four models
a `solution` and whether it `is_correct`; answers stand after `A: `. Printed are

- how many completions `synth` judges as their flags say, beside the published rule, which reads digits after a mark;
- for each `--keep` of `synth augment respond`, which is told no gold answer and has the four completions of a question
  as its samples, how many responses it keeps and how many of these are right.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

from contest import parser, print_table

MARK = "A: "
# As the published rule wants it.
HASHES = (f"\n{MARK}", "\n#### ")


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("completions", type=Path)
    given = arguments.parse_args()
    if not given.completions.is_file():
        arguments.error(f"there is no file {given.completions}")
    questions = [json.loads(line) for line in given.completions.read_text().splitlines()]
    print_table("Verdicts", ["rule", "completions", "as flagged"], agreement(questions))
    print_table("Responses kept without gold answers", ["--keep", "kept", "right", "precision"], precision(questions))


def completions(question: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    """Text and flag of each model's completion."""
    for value in question.values():
        if isinstance(value, dict):
            yield value["solution"], value["is_correct"]


def agreement(questions: list[dict[str, Any]]) -> list[list[str]]:
    from synth.pipelines.runtime.answers.answer import MarkedAnswers, extract_answer

    rule = MarkedAnswers((MARK,))
    total = ours = published = 0
    for question in questions:
        gold = rule.gold(question["ground_truth"])
        digits = extract_answer(question["ground_truth"].replace(*HASHES))
        assert gold, question["ground_truth"]
        assert digits, question["ground_truth"]
        for text, is_correct in completions(question):
            answer, number = rule.find(text), extract_answer(text.replace(*HASHES))
            total += 1
            ours += (answer is not None and rule.same(answer, gold)) == is_correct
            published += (number is not None and number.value == digits.value) == is_correct
    return [[name, f"{total:,}", f"{count:,}"] for name, count in (("synth", ours), ("as published", published))]


def precision(questions: list[dict[str, Any]]) -> list[list[str]]:
    from synth.pipelines.augment.respond import Keep
    from synth.pipelines.runtime.answers.answer import MarkedAnswers

    rule = MarkedAnswers((MARK,))
    rows = []
    for keep in get_args(Keep):
        kept = right = 0
        for question in questions:
            gold = rule.gold(question["ground_truth"])
            for response in responded(question, keep):
                answer = rule.find(response)
                kept += 1
                right += answer is not None and gold is not None and rule.same(answer, gold)
        rows.append([keep, f"{kept:,}", f"{right:,}", f"{right / kept:.2f}" if kept else "–"])
    return rows


def responded(question: dict[str, Any], keep: str) -> list[str]:
    """The responses that `augment respond` keeps where the completions are its samples."""
    import asyncio
    from random import Random

    from synth.pipelines.augment.respond import Respond
    from synth.pipelines.engines import Answer, Completion
    from synth.pipelines.runtime.stage import Reject, Rejected

    texts = [text for text, _ in completions(question)]

    class Samples:
        model = "published"
        llm = property(lambda self: self)

        async def generate(self, *_: Any, **__: Any) -> Answer:
            return Answer(tuple(Completion(text, "stop", None) for text in texts), None)

        def random(self, *_: Any) -> Random:
            return Random(0)

        def tally(self, *_: Any) -> None:
            pass

    async def kept() -> list[str]:
        stage = Respond(n=len(texts), temperatures=(1.0,), keep=keep, answer_marks=(MARK,))  # type: ignore[arg-type]
        row = {"id": "q", "query": question["question"]}
        with suppress(Reject):
            items = [item async for item in stage.process(row, Samples())]  # type: ignore[arg-type]
            return [item["response"] for item in items if not isinstance(item, Rejected)]
        return []

    return asyncio.run(kept())


if __name__ == "__main__":
    main()
