"""What vLLM is asked for each request, what comes of its outputs, and its errors in a sentence."""

from collections.abc import Mapping
from typing import Any

from synth.pipelines.engines import Answer, Completion, Request, RequestFailed
from synth.schemas.errors import UsageError

__all__ = ["result_of", "sampling_params", "scoring_params", "sentence"]


def sampling_params(request: Request, more: Mapping[str, Any], *, skip_special_tokens: bool, seeds: bool = True) -> Any:
    from vllm.sampling_params import RequestOutputKind, SamplingParams, StructuredOutputsParams

    sampling = request.sampling
    try:
        # With a seed and n > 1, vLLM draws completion i with seed + i, as `Request` requires.
        return SamplingParams(
            n=request.n,
            seed=request.seed if seeds else None,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            repetition_penalty=sampling.repetition_penalty,
            max_tokens=sampling.max_tokens,
            stop=list(sampling.stop),
            output_kind=RequestOutputKind.FINAL_ONLY,
            structured_outputs=None if request.schema is None else StructuredOutputsParams(json=dict(request.schema)),
            skip_special_tokens=skip_special_tokens,
            **more,
        )
    except Exception as error:
        raise UsageError(f"vLLM rejects these sampling options: {sentence(error)}") from error


def scoring_params() -> Any:
    """For the log-probabilities of the tokens of a prompt. vLLM has to generate one more, of which nothing is made."""
    from vllm.sampling_params import RequestOutputKind, SamplingParams

    kind = RequestOutputKind.FINAL_ONLY
    return SamplingParams(
        max_tokens=1, temperature=0, prompt_logprobs=0, flat_logprobs=True, detokenize=False, output_kind=kind
    )


def result_of(output: Any) -> Answer | list[float] | RequestFailed:
    """The answer to a request, or the log-probabilities of its prompt if it asked for those."""
    completions = []
    for choice in output.outputs:
        if choice.finish_reason not in ("stop", "length"):  # for example, a schema failed to compile
            return RequestFailed(f"vLLM gave a request up ({choice.finish_reason}); SYNTH_VLLM_LOG=INFO says more")
        # A stop token is a number.
        stop = choice.stop_reason if isinstance(choice.stop_reason, str) else None
        completions.append(Completion(choice.text, choice.finish_reason, len(choice.token_ids), stop=stop))
    if output.prompt_logprobs is not None:
        return list(output.prompt_logprobs.logprobs)
    return Answer(tuple(completions), len(output.prompt_token_ids))


def sentence(error: BaseException) -> str:
    """The informative line of an error; pydantic has a list of problems."""
    text = str(error)
    if callable(problems := getattr(error, "errors", None)):
        problem = problems()[0]
        text = ": ".join((*map(str, problem["loc"][:1]), problem["msg"].removeprefix("Value error, ")))
    return next((line.strip(" :") for line in text.splitlines() if line.strip()), type(error).__name__)
