"""Gold answers for samples that lack them, such as published samples."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import xxhash

from synth.schemas.errors import InputError
from synth.schemas.reading.sources import Source
from synth.schemas.records import QUESTION

__all__ = ["NO_GOLDS", "Golds", "worked_examples"]


@dataclass(frozen=True)
class Golds:
    """Gold answers by the exact text of their questions."""

    answers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, spec: str) -> "Golds":
        """Read an input of `reject sample`. Raises `InputError` if a question has two different answers."""
        answers: dict[str, str] = {}
        for question, answer in worked_examples(spec):
            if answers.setdefault(question, answer) != answer:
                raise InputError(f"--questions {spec} has two answers to the question {question!r:.100}: remove one")
        return cls(answers)

    def identity(self) -> dict[str, str]:
        """Empty if there are no gold answers."""
        if not self.answers:
            return {}
        return {"questions": xxhash.xxh3_128_hexdigest(json.dumps(sorted(self.answers.items())).encode())}


NO_GOLDS = Golds()


def worked_examples(spec: str) -> Iterator[tuple[str, str]]:
    """The questions and answers of an input, without questions that have no answer."""
    with TemporaryDirectory() as scratch:
        table = Source(spec, QUESTION, {}, None).table(Path(scratch) / "questions")
        for batch in table.to_batches():
            for row in batch.to_pylist():
                if row["answer"] is not None:
                    yield row["question"], row["answer"]
