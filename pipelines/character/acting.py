"""What the stages share that have a model write scripts (Character-LLM, arXiv 2310.10158)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from synth.pipelines.character.inventing import Inventing
from synth.pipelines.character.profile import is_person
from synth.pipelines.character.script import ACTIONS, Script, Turn, read_script
from synth.pipelines.engines import Completion
from synth.pipelines.runtime.asking import Form, whole_text
from synth.pipelines.runtime.declared import Option
from synth.pipelines.runtime.stage import Reject, Row, Tools
from synth.schemas import words
from synth.schemas.phrases import plural

__all__ = ["Acting", "check_turns"]

FEWEST_TURNS = 3
# In JSON: the longest texts in characters, and the most turns. Weak models would not end them.
LONGEST_BACKGROUND, LONGEST_NAME, LONGEST_TURN, MOST_TURNS = 600, 60, 2000, 60


@dataclass(frozen=True)
class Acting(Inventing):
    """A stage that asks for scripts, and accepts those that are whole."""

    words: Annotated[int, Option("Words to ask for; shorter scripts are accepted.", min=1)] = 1200

    @property
    def means(self) -> Mapping[str, str]:
        return {"turns": "scripts", "words": "scripts"}

    def form(self, name: str) -> Form | None:
        """The script of a scene with the person of this name."""
        if not self.schema:
            return None
        turn = {
            "role": {"anyOf": [{"enum": [name]}, {"type": "string", "minLength": 1, "maxLength": LONGEST_NAME}]},
            "action": {"type": "string", "enum": list(ACTIONS)},
            "content": {"type": "string", "minLength": 1, "maxLength": LONGEST_TURN},
        }
        turns = {"type": "array", "items": Form.of(turn).schema, "minItems": FEWEST_TURNS, "maxItems": MOST_TURNS}
        background = {"type": "string", "minLength": 1, "maxLength": LONGEST_BACKGROUND}
        return Form.of(
            {"background": background, "turns": turns},
            'Reply with a JSON object instead: "background", and the list "turns", each with "role", "action" and '
            '"content".',
        )

    def read(self, name: str, completion: Completion) -> tuple[Script, str | None]:
        """The script of a reply, and the reasoning before it.

        Raises `Reject`: `refused`, `empty_answer`, `truncated`, as `check_turns` does, and `no_background`.
        """
        script = read_script(whole_text(completion))
        check_turns(script.turns, name)
        if not script.setting:
            raise Reject("no_background", "it has no paragraph that begins with `Background:`")
        return script, completion.reasoning

    def performance(self, about: Row, script: Script, reasoning: str | None, tools: Tools) -> dict[str, Any]:
        """The output row of a script, tallied; `about` has the other columns."""
        length = sum(words.count(turn["content"]) for turn in script.turns)
        tallies = {
            "scripts": 1,
            "turns": len(script.turns),
            "words": length,
            "stage_directions": script.directions,
            "empty_turns": script.empty,
        }
        for tally, amount in tallies.items():
            if amount:
                tools.tally(tally, amount)
        return {
            **about,
            "setting": script.setting,
            "dialogue": list(script.turns),
            "words": length,
            "reasoning": reasoning,
            "model": tools.model,
        }


def check_turns(turns: Sequence[Turn], name: str) -> None:
    """Raises `Reject`: `empty` (no turn), `short` (fewer than three), `without_person` (none is the person's)."""
    if not turns:
        raise Reject("empty", f"it has no turn: no line such as `{name} (speaking)` with text below it")
    if len(turns) < FEWEST_TURNS:
        raise Reject("short", f"it has {plural(len(turns), 'turn')}, and {FEWEST_TURNS} are needed")
    if not any(is_person(turn["role"], name) for turn in turns):
        raise Reject("without_person", f"no turn is by {name}")
