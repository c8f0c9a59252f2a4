"""How the stages ask that have a model invent something (Character-LLM, arXiv 2310.10158)."""

from dataclasses import dataclass

from synth.pipelines.engines import Sampling
from synth.pipelines.runtime.asking import warmer_retries
from synth.pipelines.runtime.common_options import MaxTokens, Repairs, Schema, Temperature, TopP, Tries
from synth.pipelines.runtime.stage import RowStage

__all__ = ["Inventing"]


@dataclass(frozen=True)
class Inventing(RowStage):
    """A stage that asks until it can use a reply. The paper's temperature is that of its files; its code has 0.7."""

    temperature: Temperature = 0.2
    top_p: TopP = 0.95
    max_tokens: MaxTokens = 4096
    schema: Schema = False
    tries: Tries = 4
    repairs: Repairs = 0

    @property
    def samplings(self) -> list[Sampling]:
        """One for each try."""
        sampling = Sampling(temperature=self.temperature, top_p=self.top_p, max_tokens=self.max_tokens)
        return warmer_retries(sampling, self.tries)
