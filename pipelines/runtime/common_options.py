"""Options that several stages have."""

from typing import Annotated

from synth.pipelines.runtime.declared import Option
from synth.pipelines.runtime.prompts import Prompt

__all__ = [
    "AnswerMarks",
    "Boxed",
    "ComparedText",
    "MaxTokens",
    "MemoryMb",
    "PlainEquations",
    "PromptFile",
    "Repeat",
    "Schema",
    "Seconds",
    "TagColumn",
    "Temperature",
    "TopP",
    "Tries",
]

PromptFile = Annotated[Prompt, Option("A prompt file, or the name of one that the recipe ships.", metavar="FILE")]

Temperature = Annotated[float, Option("Sampling temperature.", min=0)]
TopP = Annotated[float, Option("Nucleus of the sampling.", min=0, max=1)]
MaxTokens = Annotated[int, Option("Longest reply, in tokens.", min=1)]
Tries = Annotated[int, Option("Samples to draw until a reply can be used.", min=1)]
Schema = Annotated[bool, Option("Hold the model to JSON, where the engine can.")]

Seconds = Annotated[float, Option("Time limit of a program, for all its calls.", min=0.1)]
MemoryMb = Annotated[int, Option("Memory limit of a program.", min=64)]
Repeat = Annotated[bool, Option("Run again under other seeds and reject what then differs.")]

AnswerMarks = Annotated[
    tuple[str, ...],
    Option(
        "What stands before an answer, such as 'A:' or 'The answer is'. Repeatable.",
        long="--answer-mark",
        metavar="TEXT",
    ),
]
Boxed = Annotated[bool, Option(r"Read MATH-style \boxed{} answers, compared by math-verify.")]
PlainEquations = Annotated[bool, Option("Read equations from the prose where nothing is annotated.")]

ComparedText = Annotated[
    tuple[str, ...],
    Option(
        "Column to compare: text, or the messages of a chat. Repeatable; needed where several hold text.",
        metavar="NAME",
    ),
]
TagColumn = Annotated[
    str | None,
    Option("Column of the tags: a list of texts, or of objects with `tag`.", metavar="NAME", default="tags"),
]
