"""Options shared by several stages."""

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
    "Repairs",
    "Repeat",
    "Schema",
    "Seconds",
    "TagColumn",
    "Temperature",
    "TopP",
    "Tries",
]

PromptFile = Annotated[Prompt, Option("A prompt file, or the name of one of the recipe's own.", metavar="FILE")]

Temperature = Annotated[float, Option("Sampling temperature.", min=0)]
TopP = Annotated[float, Option("Nucleus sampling: the cumulative probability to sample from.", min=0, max=1)]
MaxTokens = Annotated[int, Option("Maximum length of a reply, in tokens.", min=1)]
Tries = Annotated[int, Option("Samples to draw until a reply is usable.", min=1)]
Repairs = Annotated[int, Option("Times to show the model an unreadable reply with its fault, for each sample.", min=0)]
Schema = Annotated[
    bool, Option("Enforce a JSON schema while decoding; needs engine support.", long="--schema/--no-schema")
]

Seconds = Annotated[float, Option("Time limit of a program for all its calls, in seconds.", min=0.1)]
MemoryMb = Annotated[int, Option("Memory limit of a program, in MB.", min=64)]
Repeat = Annotated[bool, Option("Run again with other seeds and reject differing results.")]

AnswerMarks = Annotated[
    tuple[str, ...],
    Option(
        "Text that precedes an answer, such as 'A:' or 'The answer is'. Repeatable.",
        long="--answer-mark",
        metavar="TEXT",
    ),
]
Boxed = Annotated[bool, Option(r"Read MATH-style \boxed{} answers, compared by math-verify.")]
PlainEquations = Annotated[bool, Option("Read equations from prose if a solution has no annotations.")]

ComparedText = Annotated[
    tuple[str, ...],
    Option(
        "Column to compare: text, or chat messages. Repeatable; required if several columns contain text.",
        metavar="NAME",
    ),
]
TagColumn = Annotated[
    str | None,
    Option("Column of the tags: a list of strings, or of objects with `tag`.", metavar="NAME", default="tags"),
]
