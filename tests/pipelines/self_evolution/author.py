"""A model that answers, judges and refines as it is told to."""

from collections.abc import Sequence

from synth.pipelines.engines import Completion
from tests.pipelines.scripted import Prompted, ScriptedTools

KINDS = {"You check answers": "judge", "You rewrite answers": "refine", "You teach a student": "label"}


def kind_of(prompt: Prompted) -> str:
    """What a prompt of the recipe asks for."""
    assert not isinstance(prompt, str)
    return next((kind for start, kind in KINDS.items() if prompt[0]["content"].startswith(start)), "answer")


class Author(ScriptedTools):
    """Says each of its answers, judgements and refinements once, in order."""

    def __init__(
        self, answers: Sequence[str], judgements: Sequence[str], refinements: Sequence[str], labels: Sequence[str] = ()
    ) -> None:
        super().__init__([])
        self._left = {
            "answer": iter(answers),
            "judge": iter(judgements),
            "refine": iter(refinements),
            "label": iter(labels),
        }
        self.asked: list[str] = []

    async def completions(self, prompt: Prompted, samples: range) -> list[Completion]:
        kind = kind_of(prompt)
        self.asked.append(kind)
        said = [next(self._left[kind]) for _ in samples]
        return [Completion(text, "length" if text.endswith("…") else "stop", len(text.split())) for text in said]
