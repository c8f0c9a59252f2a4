"""Options that the stages of this recipe share."""

from typing import Annotated

from synth.pipelines.runtime.declared import Option

__all__ = ["Native", "Ordered"]

Native = Annotated[bool, Option("Give the tools to the model's chat template or the server, not to the prompt.")]
Ordered = Annotated[bool, Option("Calls are the same only in the same order, as in a dialogue where each depends.")]
