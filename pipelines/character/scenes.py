"""Imagine scenes around a person, from the paragraphs of a profile (Character-LLM, arXiv 2310.10158)."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Annotated, ClassVar

from synth.pipelines.character.inventing import Inventing
from synth.pipelines.character.profile import read_profile
from synth.pipelines.character.scene_list import missing, read_scenes
from synth.pipelines.engines import Completion, Message
from synth.pipelines.runtime.asking import Ask, Form, gather_settled
from synth.pipelines.runtime.common_options import PromptFile
from synth.pipelines.runtime.declared import Option, shipped
from synth.pipelines.runtime.stage import Reject, Rejected, Row, Tools, check_not_empty, nothing_kept
from synth.schemas.phrases import listed
from synth.schemas.record import Record
from synth.schemas.records import PROFILE, SCENE

__all__ = ["Scenes", "requests_of_each"]

FOLDER = Path(__file__).parent

# The kinds that the paper names; in free form a model may write others.
KINDS = ("chat", "debate", "discussion", "speech")
# The longest texts in JSON, in characters: weak models would not end them.
LONGEST_LOCATION, LONGEST_BACKGROUND = 120, 600

Prompted = str | tuple[Message, ...]


@dataclass(frozen=True)
class Scenes(Inventing):
    """Imagine scenes around a person, from each paragraph of a profile.

    Each request has one paragraph and asks for `n` scenes, each with a type, a location and a background.

    As in the paper, all paragraphs are asked about equally often, at least once and together at most `requests` times,
    and what is then left of the `requests` goes to paragraphs that are drawn in proportion to the length of their whole
    prompts. Scene 3 of the second request about the first paragraph is `<id>/p0/r1/s3`.

    An unreadable reply is replaced by another sample, of which there are up to `tries` (the published code samples
    again only where a reply is blank). A request without a scene is filtered as `<id>/p0/r1`: `no_scene`, `truncated`,
    `refused`, `empty_answer`. A scene is filtered as `incomplete`, or as `truncated` if it is the last of a reply that
    the token limit cut. Scenes beyond `n` are dropped and counted (`surplus_scenes`).

    A profile is rejected as `no_profile`, `no_name`, `no_paragraph`, for the reason that all its filtered outputs
    share, or as `nothing_kept`. With `schema`, scenes come as JSON.
    """

    name: ClassVar[str] = "character scenes"
    input: ClassVar[Record] = PROFILE
    output: ClassVar[Record] = SCENE
    reads: ClassVar[str] = "Rows with a column `profile`, or .txt files, each with a profile."
    uses_engine: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = (
        "synth character scenes elin-marsh.txt scenes/ --model Qwen/Qwen2.5-7B-Instruct",
        "synth character scenes profiles.jsonl few-scenes/ --model Qwen/Qwen2.5-7B-Instruct --requests 20 -n 5",
    )

    prompt: PromptFile = shipped("scenes", FOLDER)
    requests: Annotated[int, Option("Requests for each profile; more if it has more paragraphs.", min=1)] = 100
    n: Annotated[int, Option("Scenes to ask for in a request.", min=1, flag="-n", long="--scenes")] = 20

    @property
    def form(self) -> Form | None:
        if not self.schema:
            return None
        texts = {"location": LONGEST_LOCATION, "background": LONGEST_BACKGROUND}
        scene = {
            "type": {"type": "string", "enum": list(KINDS)},
            **{name: {"type": "string", "minLength": 3, "maxLength": longest} for name, longest in texts.items()},
        }
        scenes = {"type": "array", "items": Form.of(scene).schema, "minItems": 1, "maxItems": self.n}
        return Form.of({"scenes": scenes}, 'Reply with a JSON object instead of the list: "scenes" is the list.')

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row | Rejected]:
        check_not_empty(row, "profile")
        person = read_profile(row)
        prompts = [
            self.prompt.render(name=person.name, profile=paragraph, n=self.n, kinds=listed(KINDS))
            for paragraph in person.paragraphs
        ]
        times = requests_of_each([*map(_length, prompts)], self.requests, tools.random("paragraphs"))
        requests = [(paragraph, turn) for paragraph, number in enumerate(times) for turn in range(number)]
        replied = await gather_settled(self._ask(prompts[paragraph], turn, tools) for paragraph, turn in requests)
        kept = 0
        filtered = []
        for (paragraph, turn), reply in zip(requests, replied, strict=True):
            about = {"name": person.name, "profile": person.paragraphs[paragraph], "model": tools.model}
            for one in self._scenes(f"{row['id']}/p{paragraph}/r{turn}", about, reply, tools):
                if isinstance(one, Rejected):
                    filtered.append(one)
                else:
                    kept += 1
                yield one
        if not kept:
            raise nothing_kept(filtered)

    async def _ask(self, prompt: Prompted, turn: int, tools: Tools) -> tuple[Completion, list[dict[str, str]]]:
        ask = Ask(tools, prompt, self.form, self.repairs)
        return await ask.first_readable(self.samplings, _with_scenes, first_sample=turn * self.tries)

    def _scenes(
        self, request_id: str, about: Row, reply: tuple[Completion, list[dict[str, str]]] | Reject, tools: Tools
    ) -> list[Row | Rejected]:
        """The scenes of a request, kept or filtered."""
        if isinstance(reply, Reject):
            return [Rejected.because(reply, {"id": request_id, **about})]
        completion, scenes = reply
        if len(scenes) > self.n:
            tools.tally("surplus_scenes", len(scenes) - self.n)
        outputs: list[Row | Rejected] = []
        for number, scene in enumerate(scenes[: self.n]):
            made = {"id": f"{request_id}/s{number}", **about, **scene, "reasoning": completion.reasoning}
            if completion.cut and number == len(scenes) - 1:
                outputs.append(Rejected(made, "truncated", completion.cut, [completion.said]))
            elif lacking := missing(scene):
                outputs.append(Rejected(made, "incomplete", f"it has no {listed(lacking)}", [completion.said]))
            else:
                outputs.append(made)
        return outputs


def requests_of_each(lengths: Sequence[int], wanted: int, random: Random) -> list[int]:
    """How often each paragraph is asked about, given the length of its prompt.

    All equally often, at least once, as long as that is not more than `wanted`; the others are drawn by length.
    """
    rounds = max(wanted // len(lengths), 1)
    times = [rounds] * len(lengths)
    for paragraph in random.choices(range(len(lengths)), lengths, k=max(wanted - rounds * len(lengths), 0)):
        times[paragraph] += 1
    return times


def _length(prompt: Prompted) -> int:
    """The characters of a prompt."""
    return len(prompt) if isinstance(prompt, str) else sum(len(message["content"]) for message in prompt)


def _with_scenes(completion: Completion) -> tuple[Completion, list[dict[str, str]]]:
    """A reply and its scenes. Raises `Reject` if none of them is whole."""
    if completion.no_answer:
        raise Reject(*completion.no_answer)
    scenes = read_scenes(completion.text)
    if not all(map(missing, scenes[:-1] if completion.cut else scenes)):
        return completion, scenes
    if completion.cut:
        raise Reject("truncated", completion.cut)
    raise Reject("no_scene", "the reply has no scene with a type, a location and a background")
