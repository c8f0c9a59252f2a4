"""Make training rows of scripts (Character-LLM, arXiv 2310.10158)."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Annotated, ClassVar

from synth.pipelines.character.acting import check_turns
from synth.pipelines.character.profile import is_person
from synth.pipelines.character.script import Turn, action_in
from synth.pipelines.engines import Message
from synth.pipelines.runtime.declared import Option, shipped
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.stage import Reject, Row, RowStage, Tools, check_not_empty
from synth.schemas.errors import UsageError
from synth.schemas.record import Record
from synth.schemas.records import EXPERIENCE, PLAYED

__all__ = ["Convert", "joined_turns"]

FOLDER = Path(__file__).parent

# What protective rows have instead of their own setting, so that a model learns to be on its guard anywhere.
ANYWHERE, ANYHOW = "A room", "{name} is chatting with a person."


@dataclass(frozen=True)
class Convert(RowStage):
    """Make training rows of scripts: a situation as the prompt, and all turns as the output.

    The prompt asks the model to act as the person, with the location of the scene and the setting of the script. The
    output has the turns, `Ada (speaking): Hi.<|eot|>`; a missing action is `speaking`. As in the paper, consecutive
    turns of one role and action are joined by a line break, and each ends with the mark `end_of_turn`, where inference
    stops. In protective rows the location is a room, the person is chatting with a person, and every action is
    `speaking`.

    `messages` is the same as a chat, without marks: the prompt and what others say first are the user's first message,
    then the person is the assistant. What others say after the person's last turn is left out there.

    Turns without a role or a text are dropped and counted (`empty_turns`). A script is rejected as `no_name`; as
    `no_location` or `no_setting` if it is not protective; as `empty` or `short` if it has no turn or fewer than three;
    as `without_person` if none of them is the person's; and as `mark_in_text` if a turn has the mark in it.
    """

    name: ClassVar[str] = "character convert"
    input: ClassVar[Record] = PLAYED
    output: ClassVar[Record] = EXPERIENCE
    commands: ClassVar[tuple[str, ...]] = (
        "synth character convert performances/ protections/ experiences/",
        "synth character convert performances/ plain/ --end-of-turn '###'",
    )

    prompt: Annotated[Prompt, Option("Text file with the prompt of the output rows.", metavar="FILE")] = shipped(
        "act", FOLDER
    )
    end_of_turn: Annotated[
        str, Option("Ends each turn; not a token of the model's own template, unless you mean it.", metavar="TEXT")
    ] = "<|eot|>"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.prompt.is_chat:
            raise UsageError(f"--prompt {self.prompt.origin} is a chat, but must be plain text")
        if not self.end_of_turn.strip():
            raise UsageError("--end-of-turn is blank: give the text that ends each turn, such as <|eot|>")

    @property
    def means(self) -> Mapping[str, str]:
        return {"turns": "converted", "protective": "converted"}

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row]:
        is_protective = bool(row["protective"])
        check_not_empty(row, "name", *(() if is_protective else ("location", "setting")))
        turns = self._turns(row, is_protective, tools)
        situation = {"location": row["location"], "status": row["setting"]}
        if is_protective:
            situation = {"location": ANYWHERE, "status": ANYHOW.format(name=row["name"])}
        prompt = self.prompt.render(name=row["name"], **situation)
        assert isinstance(prompt, str), "the prompt is not a chat"
        joined = joined_turns(turns)
        tools.tally("converted")
        tools.tally("turns", len(turns))
        tools.tally("protective", is_protective)
        yield {
            "id": row["id"],
            "name": row["name"],
            "prompt": prompt,
            "output": "\n".join(text + self.end_of_turn for _, text in joined),
            "source": "protective" if is_protective else "scene",
            "turns": len(turns),
            "messages": _chat(prompt, joined, row["name"]),
        }

    def _turns(self, row: Row, is_protective: bool, tools: Tools) -> list[Turn]:
        given = [{name: text or "" for name, text in turn.items()} for turn in row["dialogue"] if turn]
        turns = [
            Turn(
                role=turn["role"].strip(),
                action="speaking" if is_protective else action_in(turn["action"]),
                content=turn["content"].strip(),
            )
            for turn in given
            if turn["role"].strip() and turn["content"].strip()
        ]
        if len(turns) < len(row["dialogue"]):
            tools.tally("empty_turns", len(row["dialogue"]) - len(turns))
        check_turns(turns, row["name"])
        if any(self.end_of_turn in turn["role"] + turn["content"] for turn in turns):
            raise Reject("mark_in_text", f"a turn has {self.end_of_turn!r} in it; see --end-of-turn")
        return turns


def joined_turns(turns: Sequence[Turn]) -> list[tuple[str, str]]:
    """Role and text of the turns, consecutive ones of one role and action as one: `Ada (speaking): Hi.`"""
    acts = groupby(turns, key=lambda turn: (turn["role"], turn["action"] or "speaking"))
    return [(role, f"{role} ({action}): " + "\n".join(turn["content"] for turn in act)) for (role, action), act in acts]


def _chat(prompt: str, joined: Sequence[tuple[str, str]], name: str) -> list[Message]:
    chat = [Message(role="user", content=prompt)]
    for is_assistant, turns in groupby(joined, key=lambda turn: is_person(turn[0], name)):
        text = "\n".join(text for _, text in turns)
        if is_assistant:
            chat.append(Message(role="assistant", content=text))
        elif len(chat) == 1:
            chat[0]["content"] += f"\n\n{text}"
        else:
            chat.append(Message(role="user", content=text))
    return chat if chat[-1]["role"] == "assistant" else chat[:-1]
