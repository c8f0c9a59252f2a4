"""Long texts from a model that writes short ones, by a generator and an extender (Self-Lengthen, arXiv 2410.23933)."""

from synth.schemas import words

__all__ = ["words"]
