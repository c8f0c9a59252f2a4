"""The differences between the run that wrote an output and the one that is asked for now."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from synth.schemas.phrases import plural

__all__ = ["Difference", "differences", "in_words"]

# A leaf in which two identities differ: dotted name, old and new value. An absent value is None.
Difference = tuple[str, Any, Any]
# Changes that a sentence names; `synth why` shows all.
CHANGES_SHOWN = 2


def differences(before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = "") -> list[Difference]:
    """The leaves in which two identities differ."""
    found: list[Difference] = []
    for name in dict.fromkeys([*before, *after]):
        old, new = before.get(name), after.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += differences(old, new, f"{prefix}{name}.")
        elif old != new:
            found.append((f"{prefix}{name}", old, new))
    return found


def in_words(changed: Sequence[Difference], inputs: Sequence[str]) -> str:
    """`the content of q.jsonl changed and --n was 4 and is now 8`; `inputs` are those of the earlier run."""
    phrases = list(dict.fromkeys(_phrases(changed, inputs)))
    shown, others = phrases[:CHANGES_SHOWN], phrases[CHANGES_SHOWN:]
    if others:
        shown.append(plural(len(others), "other change"))
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))


def _phrases(changed: Sequence[Difference], inputs: Sequence[str]) -> Iterator[str]:
    for name, old, new in changed:
        match name.split("."):
            case ["inputs", number] if old is not None and new is not None:
                yield f"the content of {inputs[int(number)] if int(number) < len(inputs) else 'an input'} changed"
            case ["inputs", _]:
                yield "an input was added" if old is None else "an input was left out"
            case ["options", option, "prompt" | "sha256" | "text"]:
                yield f"the {option.replace('_', ' ')} changed"
            case ["stage"]:
                yield f"it is an output of {old}"
            case ["code"]:
                yield "the code of the step changed"
            case ["version"]:
                yield "the step works differently in this version of synth"
            case ["engine", "model"]:
                yield f"the model was {_brief(old)} and is now {_brief(new)}"
            case ["engine", "seeds"]:
                yield f"its samples were drawn {'without' if old is False else 'with'} seeds"
            case ["reward_model", "model"]:
                yield f"the reward model was {_brief(old)} and is now {_brief(new)}"
            case ["engine" | "sandbox" | "reward_model" as tool, *rest]:
                yield f"{' '.join(['the', *tool.split('_'), *rest[:1]])} was {_brief(old)} and is now {_brief(new)}"
            case ["options", option, *_]:
                yield f"{option} was {_brief(old)} and is now {_brief(new)}"
            case _:
                yield f"{name} was {_brief(old)} and is now {_brief(new)}"


def _brief(value: Any) -> str:
    """The value as JSON, with digests and the whole shortened."""
    shown = re.sub(r"\b([0-9a-f]{8})[0-9a-f]{8,}\b", r"\1…", json.dumps(value, ensure_ascii=False))
    return shown if len(shown) <= 60 else f"{shown[:40]}… ({len(shown):,} characters)"
