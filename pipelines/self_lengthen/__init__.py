"""Train a model to write longer texts with a generator and an extender (Self-Lengthen, arXiv 2410.23933)."""

from synth.schemas import words

__all__ = ["words"]
