"""One task: a conversation, the tools that it offers, and the calls that are right."""

from collections.abc import Sequence
from dataclasses import dataclass

from synth.pipelines.engines import Completion, Message
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.stage import Reject, Row
from synth.pipelines.tools.calls import ToolCall, read_calls, written
from synth.pipelines.tools.toolbox import Toolbox
from synth.pipelines.tools.turns import ToolTurn, alternating, expected_calls, for_templates, read_turns, with_request
from synth.schemas.errors import UsageError

__all__ = ["RIGHT", "CallVerdict", "ToolTask", "check_chat", "check_text"]

RIGHT = "right"
# Characters of calls in a detail.
SHOWN = 120


@dataclass(frozen=True)
class CallVerdict:
    """What a reply is: `right`, or the reason why not, with a `detail`; and its calls, None if they cannot be read."""

    reason: str
    detail: str = ""
    calls: tuple[ToolCall, ...] | None = None


@dataclass(frozen=True)
class ToolTask:
    """A row of tasks. `calls` are the right ones: none if no tool is to be called, None if they are not known."""

    turns: tuple[ToolTurn, ...]
    toolbox: Toolbox
    calls: tuple[ToolCall, ...] | None

    @classmethod
    def read(cls, row: Row) -> "ToolTask":
        """Raises `Reject`: `bad_tools`, `bad_calls`, `no_question`."""
        toolbox = Toolbox.read(row["tools"])
        calls = None if row["calls"] is None else expected_calls(row["calls"], toolbox.names)
        return cls(read_turns(row["turns"], toolbox.names), toolbox, calls)

    def requested(self, request: str) -> "ToolTask":
        """The task with a further request of the user."""
        return ToolTask(with_request(self.turns, request), self.toolbox, self.calls)

    def asked(self, prompt: Prompt) -> tuple[Message, ...]:
        """The chat that asks for the calls, with the tools in the words of the prompt, which is a chat."""
        system = "\n\n".join(turn.content for turn in self.turns if turn.role == "system")
        turns = [{"role": turn.role, "content": turn.spoken} for turn in self.turns if turn.role != "system"]
        rendered = prompt.render(tools=self.toolbox.described, system=system, turns=turns)
        assert not isinstance(rendered, str), "check_chat has seen the prompt"
        return tuple(alternating(rendered))

    def asked_natively(self) -> tuple[Message, ...]:
        """The chat for a model's own template, which gets the tools apart."""
        return for_templates(self.turns)

    def judge(self, reply: Completion, *, ordered: bool = False) -> CallVerdict:
        """Compare the calls in a reply with the right ones, which must be known.

        `right`, also if none are expected and none are made; else `not_a_call`, `unknown_tool`, `bad_arguments` (not
        readable, or not as the schema says), `wrong_call`, or why there is no whole reply.
        """
        assert self.calls is not None, "there is nothing to compare with"
        if reply.no_answer:
            return CallVerdict(*reply.no_answer)
        if reply.cut:
            return CallVerdict("truncated", reply.cut)
        try:
            calls = read_calls(reply.text, self.toolbox.names)
        except Reject as reject:
            return CallVerdict(reject.reason, reject.detail)
        if self.toolbox.same(calls, self.calls, ordered=ordered):
            return CallVerdict(RIGHT, calls=calls)
        if not calls:
            return CallVerdict("not_a_call", "it calls nothing", calls)
        return CallVerdict(*(self.toolbox.fault(calls) or ("wrong_call", f"it calls {_brief(calls)}")), calls)


def check_chat(prompt: Prompt) -> None:
    """Raises `UsageError` if the prompt is plain text."""
    if not prompt.is_chat:
        raise UsageError(f"--prompt {prompt.origin} is plain text, but must be a chat, with lines such as `# user`")


def check_text(request: Prompt) -> None:
    """Raises `UsageError` if the prompt is a chat."""
    if request.is_chat:
        raise UsageError(f"--refine-prompt {request.origin} is a chat, but must be text that the user adds")


def _brief(calls: Sequence[ToolCall]) -> str:
    text = written(calls)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
