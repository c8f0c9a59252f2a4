"""A small profile, and what a model says that follows the prompts."""

from typing import Any

from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.stage import Row

PROFILE: dict[str, Any] = {"id": "ada", "name": None, "profile": "# Ada Lane\n\nShe keeps bees.\n\nShe sails alone."}
SCENE: dict[str, Any] = {
    "id": "ada/p0/r0/s0",
    "name": "Ada Lane",
    "profile": "She keeps bees.",
    "type": "chat",
    "location": "A garden",
    "background": "Ada shows Bob a hive.",
    "reasoning": None,
    "model": "scripted",
}
# Shorter than the recipe's own: what is asked is told by the first word.
SCENES = Prompt("# user\nscenes: {{ name }}. {{ profile }}", "bare")
SCRIPT = Prompt("# user\nscript: {{ name }}. {{ profile }}", "bare")


def scene(number: int, place: str = "A garden") -> str:
    return f"Scene {number}:\nType: Chat\nLocation: {place}\nBackground: Ada meets guest {number}."


def scenes(count: int, place: str = "A garden") -> str:
    return "\n\n".join(scene(number, place) for number in range(1, count + 1))


def script(*turns: str, background: str = "Background:\nA garden, in June.") -> str:
    said = turns or (
        "Ada Lane (thinking)\nA guest.",
        "Ada Lane (speaking)\nGood day.",
        "Bob (speaking)\nAre those bees?",
    )
    return "\n\n".join([*([background] if background else []), *said])


def ids(rows: list[Row]) -> list[str]:
    return [row["id"] for row in rows]
