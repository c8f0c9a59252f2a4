"""Every example of docs/commands.md runs, with inputs that the examples before it make, or small ones of its own."""

import gzip
import io
import json
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from synth.schemas.reading import inputs
from tests.counting_server import CountingServer
from tests.jails import why_not
from tests.pages.page import ROOT, Page
from tests.pages.recorded import FUNCTIONS, RecordedServer, prose
from tests.pages.shell import RUNS_PROGRAMS, Shell
from tests.pages.stand_ins import lend_models
from tests.schemas.reading.test_formats import record

PAGE = Page("docs/commands.md")


@dataclass(frozen=True)
class Example:
    """A command line in the section of `command`."""

    command: str
    line: str

    @property
    def output(self) -> str:
        """The last word before the options."""
        return self.line.partition(" -")[0].split()[-1]


EXAMPLES = [Example(command, line) for command, lines in PAGE.examples.items() for line in lines]
OUTPUTS = {example.output for example in EXAMPLES}


def lines(rows: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def parquet(rows: Iterable[Mapping[str, Any]]) -> bytes:
    written = io.BytesIO()
    pyarrow.parquet.write_table(pa.Table.from_pylist(list(rows)), written)
    return written.getvalue()


def first(rows: int, name: str) -> str:
    """The first rows of a file of the folder `examples`."""
    return "".join((ROOT / "examples" / name).read_text().splitlines(keepends=True)[:rows])


def scores(texts: Iterable[str], mean: float) -> str:
    """What `score nll` says of texts under a model that finds the tokens so likely."""
    return lines(
        {"id": f"text-{n}", "nll": mean * 90, "nll_tokens": 90, "nll_bytes": len(text)} for n, text in enumerate(texts)
    )


ELIN = (ROOT / "examples" / "elin-marsh.txt").read_text()
QUESTIONS = first(6, "questions.jsonl")
ASKED = [json.loads(line) for line in QUESTIONS.splitlines()]
SOLVED = lines({"query": row["question"], "answer": row["answer"], "response": row["answer"]} for row in ASKED)
PROGRAMS = FUNCTIONS.format(rank=2)
TEXTS = [prose(seed, 6) for seed in range(12)]
TURNS = [
    [{"role": "user", "content": f"What is {n}+1?"}, {"role": "assistant", "content": "It is."}] for n in range(80)
]
ROWS = [
    {
        "key": f"row-{number}",
        "question": f"What is {number}+1?",
        "answer": prose(number, 6),
        "score": number % 6,
        "lang": "en",
        "source_id": f"source-{number}",
        "embedding": [0.5, number],
    }
    for number in range(1000)
]
# The files that examples read and no example before them makes, for the commands that begin with these words.
INPUTS: dict[str, dict[str, str | bytes]] = {
    "": {"questions.jsonl": QUESTIONS},
    "augment": {"train.jsonl": QUESTIONS},
    "reject": {"samples-7b/paths.jsonl": SOLVED, "samples-13b/paths.jsonl": SOLVED},
    "reject curve": {
        "questions.jsonl": lines([{"question": "What is 1/2+1/4?", "answer": r"\frac{3}{4}"}]),
        "published/paths.jsonl": lines([{"question": "What is 1/2+1/4?", "response": r"It is \boxed{\frac{3}{4}}."}]),
    },
    "case2code": {"src/texts.py": PROGRAMS},
    "dstc": {"tasks.jsonl": Page("docs/dstc.md").files["tasks.jsonl"]},
    "character": {
        "elin-marsh.txt": ELIN,
        "profiles.jsonl": lines([{"name": "Miles", "profile": "He keeps bees.\n\nHe sails alone."}]),
    },
    "rank": {"prompts.jsonl": Page("docs/rank.md").files["prompts.jsonl"]},
    "rank pairs": {
        "ranked.jsonl": lines([{"query": "How wide is it?", "responses": ["Very.", "Who knows."], "scores": [7, 4]}]),
    },
    "query-of-cc": {
        "seeds.jsonl": first(2, "seeds.jsonl"),
        "crawl/1.warc.wet.gz": gzip.compress(b"".join(record(n, text.encode()) for n, text in enumerate(TEXTS))),
        "more.jsonl": lines([{"id": "more", "text": prose(99, 9)}]),
    },
    "instag": {
        "chats.jsonl": lines({"messages": turns} for turns in TURNS),
        "tags.jsonl": Page("docs/instag.md").files["decisions.jsonl"],
    },
    "self-lengthen": {
        "seeds.jsonl": first(8, "instructions.jsonl"),
        "test.jsonl": lines([{"instruction": "Describe a museum.", "constraint": "around 100 words"}]),
        "articles.jsonl": lines({"body": text[: 20 * n]} for n, text in enumerate(TEXTS, 1)),
        "chats/chats.jsonl": lines({"messages": turns} for turns in TURNS[:4]),
        "train.sh": '#!/bin/sh\ncp -r "$2" "$3"\n',
    },
    "self-lengthen constrain": {
        "extended/texts.jsonl": lines([{"instruction": "Describe a museum.", "response": prose(1, 400)}]),
    },
    "probe": {"trivia.jsonl": (ROOT / "examples" / "trivia.jsonl").read_text()},
    "probe self": {
        "problems.jsonl": QUESTIONS,
    },
    "probe label": {
        "requests.jsonl": lines([{"instruction": "Describe a museum."}, {"instruction": "Who is it now?"}])
    },
    "probe balance": {
        "requests.jsonl": first(8, "instructions.jsonl"),
        "wishes.jsonl": (ROOT / "examples" / "wishes.jsonl").read_text(),
    },
    "refine": {
        "answers/answers.jsonl": lines({"prompt": row["question"], "response": "It is 7."} for row in ASKED),
        "tasks.jsonl": first(6, "instructions.jsonl"),
    },
    "challenge": {"failures.jsonl": first(12, "failures.jsonl")},
    "challenge refine": {
        # The patterns of the server have the shortest name that their schema allows.
        "marked.jsonl": lines([{"question": "Who?", "pattern": "a", "answer": "I.", "correct": False}])
    },
    "embed": {"corpus/pages.jsonl": lines({"text": text} for text in TEXTS)},
    "select": {"corpus/pages.jsonl": lines({"text": text} for text in TEXTS)},
    "think": {"corpus/pages.jsonl": lines({"text": text} for text in TEXTS)},
    "pack": {"corpus/pages.jsonl": lines({"text": text} for text in TEXTS)},
    "refine tools": {"tool-tasks.jsonl": first(6, "tool-tasks.jsonl")},
    "import": {
        "shards/1.parquet": parquet(ROWS),
        "more.csv.gz": gzip.compress(b"key,question,answer\nlast,What is 2+2?,4\n"),
    },
    "map": {
        name: Page("docs/own-prompts.md").files[name]
        for name in ("answer.md", "topics.jsonl", "task.md", "task.json", "styles.json")
    },
    "judge": {"style.md": "Is it plain?\n\n{{ response }}\n"},
    "mix": {
        f"{name}/texts.jsonl": lines({"text": text} for text in TEXTS) for name in ("math", "code", "prose", "web")
    },
    "join": {
        "scores.jsonl": lines({"question": row["question"], "score": 4} for row in ASKED),
        "tags/tags.jsonl": lines([{"row_id": "row-1", "tags": ["sums"]}]),
    },
    "mix skill-it": {
        "graph.csv": Page("docs/skill-it.md").files["graph.csv"],
        "pairs.jsonl": lines([{"skill": "spanish-qg", "loss": 2.1}]),
        "losses.jsonl": lines([{"step": 100, "skill": "spanish-qg", "loss": 2.0}]),
    },
    "pack buckets": {"corpus/pages.jsonl": lines({"text": prose(number, 400)} for number in range(4))},
    "score nll": {"corpus/pages.jsonl": lines({"text": text} for text in TEXTS)},
    "select difference": {"teacher/scores.jsonl": scores(TEXTS, 2.0), "reference/scores.jsonl": scores(TEXTS, 3.0)},
    "dedup": {
        "corpus/pages.jsonl": lines(
            {"text": text, "url": f"https://a.example/{n % 9}"} for n, text in enumerate(TEXTS)
        ),
        "a.jsonl": lines(ASKED),
        "b.parquet": parquet({"question": row["question"]} for row in ASKED),
    },
    "decontaminate": {
        "rows/texts.jsonl": lines({"text": text} for text in TEXTS),
        "gsm8k-test.jsonl": first(9, "benchmark.jsonl"),
        "test.parquet": parquet(ASKED),
    },
}
# By default there are 5,000 instructions, and batches of half a million tokens.
SMALL = {
    r"^(synth self-lengthen instruct (?!.* -n ).*)": r"\1 -n 8",
    r"^(synth pack curriculum .*)": r"\1 --cycles 1 --batch-tokens 8192",
}


@dataclass
class Workshop:
    """Runs examples, each once and in a folder of its own, after those that make its inputs."""

    root: Path
    server: CountingServer
    folders: dict[Example, Path] = field(default_factory=dict)

    def run(self, example: Example) -> Path:
        """The folder where it has run."""
        if example not in self.folders:
            if example.line.startswith(RUNS_PROGRAMS) and (reason := why_not("bwrap")):
                pytest.skip(reason)
            shell = Shell(PAGE, Path(mkdtemp(dir=self.root)), dict(SMALL))
            lend_models(shell, [example.line], self.server)
            self._give_inputs(shell, example)
            shell.run(example.line)
            self.folders[example] = shell.folder
        return self.folders[example]

    def _give_inputs(self, shell: Shell, example: Example) -> None:
        for start, files in INPUTS.items():
            if example.command.startswith(start):
                for name, content in files.items():
                    shell.give(name, content)
        for word in shlex.split(example.line):
            name, slash, inside = word.partition("/")
            directory = name + slash
            is_input = slash and directory != example.output and (not inside or directory in OUTPUTS)
            if is_input and not (place := shell.folder / directory).exists():
                place.symlink_to(self.run(maker(directory, example)) / directory)


def maker(word: str, example: Example) -> Example:
    """The first example with this output in the nearest section that has one."""
    before = [other for other in EXAMPLES[: EXAMPLES.index(example)] if other.output == word]
    assert before, f"{example.line}: no example before it makes {word}, and it is not among INPUTS"
    return next(other for other in before if other.command == before[-1].command)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory, server: RecordedServer) -> Iterator[Workshop]:
    root = tmp_path_factory.mktemp("workshop")
    # All source that is installed takes minutes to read.
    (installed := root / "installed.py").write_text(PROGRAMS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inputs, "installed", lambda: {"stdlib/installed.py": installed})
        yield Workshop(root, server)


@pytest.mark.parametrize("command", PAGE.examples)
def test_the_examples_of_a_command_run(command: str, workshop: Workshop) -> None:
    for example in EXAMPLES:
        if example.command == command:
            workshop.run(example)


@pytest.mark.parametrize("start", INPUTS)
def test_every_input_is_read_by_an_example(start: str) -> None:
    text = "\n".join(example.line for example in EXAMPLES if example.command.startswith(start))
    for name in INPUTS[start]:
        assert name.partition("/")[0] in text
