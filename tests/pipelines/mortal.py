"""An engine whose subclass says what it answers, and that may die after so many answers."""

from math import inf

from synth.pipelines.engines import Answer, Completion, Request
from synth.pipelines.engines.echo import EchoEngine
from synth.schemas.errors import EngineFailed


class Mortal(EchoEngine):
    def __init__(self, answers: float = inf) -> None:
        super().__init__()
        self._answers = answers
        self._requests: list[Request] = []

    async def answer(self, request: Request) -> Answer:
        if len(self._requests) >= self._answers:
            raise EngineFailed("it has gone")
        self._requests.append(request)
        texts = [self.says(request, request.seed + sample) for sample in range(request.n)]
        return Answer(tuple(Completion(text, "stop", 9) for text in texts), 7)

    def says(self, request: Request, seed: int) -> str:
        raise NotImplementedError

    @property
    def asked(self) -> list[tuple[str, int]]:
        """Prompt and seed of each request that was answered."""
        return [(str(request.prompt), request.seed) for request in self._requests]
