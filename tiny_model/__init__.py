"""A language model small enough to ship: it solves and evolves the word problems of its own generator, writes and
extends the texts of another, tries out and infers the small functions of a third, asks and thinks about the terms of
eight domains, tags the instructions that all of these make, and knows nothing else.

It lets recipes run end to end through a real engine on a machine without a GPU or a model hub. `problems`, `texts`,
`functions`, `questions` and `tags` make the data, `tasks` puts it into the recipes' prompts, `train` makes the model
from nothing, `evaluate` measures it.
"""

from pathlib import Path

__all__ = ["EXAMPLES"]

EXAMPLES = Path(__file__).resolve().parents[1] / "examples" / "questions.jsonl"
