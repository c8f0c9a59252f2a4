"""The steps of `reality.py`: each command with its small settings, and what is counted as its yield."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from synth.pipelines.recipes import stage_named

# Input rows of most steps.
ROWS = 24

Counts = Mapping[str, Any]
# A yield, and of how many.
Share = tuple[float, float]


def rows_in(counts: Counts) -> float:
    return float(counts["produced"] + counts["rejected"] + counts["failed"])


def with_output(counts: Counts) -> Share:
    return counts["produced"], rows_in(counts)


def outputs_of(wanted: float, counts: Counts) -> Share:
    return counts["outputs"], wanted


def outputs_kept(counts: Counts) -> Share:
    """Of outputs that were made."""
    return counts["outputs"], counts["outputs"] + sum(counts["output_reasons"].values())


def tallied(name: str, of: str, counts: Counts) -> Share:
    return counts["tallies"].get(name, 0), counts["tallies"].get(of, 0)


def of_rows(name: str, counts: Counts) -> Share:
    return counts["tallies"].get(name, 0), rows_in(counts)


def marked(counts: Counts) -> Share:
    read, unread = (counts["tallies"].get(name, 0) for name in ("judged", "not_judged"))
    return read, read + unread


def sharpened(counts: Counts) -> Share:
    """Patterns without marks stay as they are."""
    return counts["produced"] - counts["tallies"].get("not_marked", 0), rows_in(counts)


def readable(counts: Counts) -> Share:
    unread = sum(counts["tallies"].get(label, 0) for label in ("no_code", "empty_answer", "truncated", "refused"))
    return counts["tallies"]["tasks"] - unread, counts["tallies"]["tasks"]


@dataclass(frozen=True, eq=False)
class Step:
    """A command, `INPUT` and `OUT` aside, from what an earlier step or the preparation made, and its yields."""

    out: str
    source: str
    command: str
    options: str
    yields: Mapping[str, Callable[[Counts], Share]]

    @property
    def asks(self) -> bool:
        return bool(stage_named(self.command).__dict__.get("uses_engine"))


STEPS = (
    Step("samples", "questions", "reject sample", "-n 2 --max-tokens 256 --prompt chat", {}),
    Step("accepted", "samples", "reject select", "--no-gold", {"accepted paths of samples": outputs_kept}),
    Step("evolved", "questions", "augment evolve", "--max-tokens 640", {"questions evolved": with_output}),
    Step(
        "answered",
        "questions",
        "augment respond",
        "-n 2 --temperature 0.7 --max-tokens 256 --limit 12",
        {"questions answered": with_output},
    ),
    Step(
        "corrected",
        "facts",
        "refine correct",
        "-n 4 --verify model --max-tokens 200",
        {"answers verified": with_output, "samples that are right": partial(tallied, "right", "samples")},
    ),
    Step("skills", "samples", "refine skills", "--max-tokens 400 --limit 10", {"answers reviewed": with_output}),
    Step(
        "refined",
        "questions",
        "refine self",
        "--prompt solve --max-tokens 256 --limit 10",
        {
            "answers refined and judged twice": partial(of_rows, "judged"),
            "refined answers that it finds good": with_output,
        },
    ),
    Step(
        "calls",
        "tool-tasks",
        "refine tools",
        "-n 4 --max-tokens 128",
        {
            "tool tasks measured": with_output,
            "tool tasks within reach": partial(of_rows, "reachable_tasks"),
        },
    ),
    Step(
        "revised",
        "tool-tasks",
        "refine tools answer",
        "--rounds 2 --max-tokens 128",
        {"tool tasks whose last two answers agree": partial(of_rows, "agreed")},
    ),
    Step(
        "inputs", "functions", "case2code inputs", "--tries 2 --max-tokens 512", {"functions with inputs": with_output}
    ),
    Step("executed", "inputs", "case2code execute", "", {"functions that run on them": with_output}),
    Step(
        "scores",
        "tasks",
        "case2code evaluate",
        "--max-tokens 320",
        {"functions induced: readable": readable, "functions induced: correct": partial(tallied, "correct", "tasks")},
    ),
    Step(
        "pairs",
        "programming",
        "dstc",
        "--n-code 4 --n-tests 4 --max-tokens 256",
        {"preference pairs": with_output},
    ),
    Step(
        "queries",
        "seeds",
        "query-of-cc bootstrap",
        "--rounds 1 --max-tokens 512",
        {"seeds with questions": with_output, "questions and thoughts kept": outputs_kept},
    ),
    Step(
        "scenes",
        "profile",
        "character scenes",
        "--requests 4 -n 5 --max-tokens 640",
        {"scenes": partial(outputs_of, 20)},
    ),
    Step(
        "scripts",
        "scenes",
        "character perform",
        "--words 150 --max-tokens 640 --limit 10",
        {"scenes performed": with_output},
    ),
    Step(
        "protections",
        "profile",
        "character protect",
        "--words 150 --max-tokens 640",
        {"protective scenes": partial(outputs_of, 4)},
    ),
    Step(
        "sets",
        "instructions",
        "rank sample",
        "-n 3 --max-tokens 96 --limit 10",
        {"instructions with responses": with_output},
    ),
    Step("ranked", "sets", "rank score", "--max-tokens 256", {"sets ranked by a judge": with_output}),
    Step("tagged", "instructions", "instag tag", "--max-tokens 384", {"instructions tagged": with_output}),
    Step(
        "written",
        "assignments",
        "self-lengthen instruct",
        f"-n {ROWS} --tries 4 --max-tokens 128",
        {"new instructions": partial(outputs_of, ROWS)},
    ),
    Step(
        "drafts",
        "assignments",
        "self-lengthen draft",
        "-n 1 --tries 2 --max-tokens 512 --limit 12",
        {"drafts": with_output},
    ),
    Step(
        "extended",
        "drafts",
        "self-lengthen extend",
        "-n 1 --tries 1 --rounds 1 --max-tokens 512",
        {"drafts extended": with_output},
    ),
    Step(
        "constrained",
        "drafts",
        "self-lengthen constrain",
        "--min-words 50 --max-words 800 --base 50 --tries 4 --max-tokens 256",
        {"lengths constrained": with_output},
    ),
    Step(
        "marked",
        "constrained",
        "self-lengthen evaluate",
        "--judge --max-tokens 384",
        {"texts marked": partial(tallied, "judged", "scored")},
    ),
    Step("patterns", "failures", "challenge patterns", "--batch 4 --max-tokens 999", {"failures cited": with_output}),
    Step(
        "challenges",
        "patterns",
        "challenge questions",
        "--failures {inputs}/failures.jsonl --domains chess,cooking --per 2 --max-tokens 512",
        {"new questions kept": outputs_kept},
    ),
    Step(
        "sharper",
        "kinds",
        "challenge refine",
        "--questions {inputs}/failures.jsonl --judge --max-tokens 512",
        {"answers marked": marked, "patterns sharpened": sharpened},
    ),
    Step(
        "thoughts",
        "documents",
        "think",
        "--max-tokens 512 --tokenizer {model}",
        {"solved problems thought through": with_output},
    ),
    Step("judged", "drafts", "judge", "--rubric {inputs}/rubric.md", {"drafts judged": with_output}),
    Step(
        "known",
        "trivia",
        "probe self",
        "-n 4 --max-tokens 64",
        {"trivia known": partial(tallied, "known", "questions")},
    ),
    Step(
        "labelled",
        "instructions",
        "probe label",
        "--criteria intent,knowledge,time --max-tokens 256",
        {"instructions labelled": with_output},
    ),
    Step(
        "mapped",
        "instructions",
        "map",
        "--prompt {inputs}/app.md --schema {inputs}/app.json --max-tokens 256",
        {"replies as columns": with_output},
    ),
)
