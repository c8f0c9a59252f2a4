"""Parse the list of scenes in a reply (Character-LLM, arXiv 2310.10158)."""

import re
from collections.abc import Mapping

from synth.pipelines.runtime.text.json_values import json_in

__all__ = ["FIELDS", "missing", "read_scenes"]

FIELDS = ("type", "location", "background")

# `Scene 2: Debate`
_SCENE = re.compile(r"scene\s+#?\d+\s*[:：.)–—-]*\s*(.*)", re.IGNORECASE)
_FIELD = re.compile(rf"({'|'.join(FIELDS)})\s*[:：]\s*(.*)", re.IGNORECASE)
_OTHER_FIELD = re.compile(r"\w[\w ]{0,30}[:：]")
# Headings, quotes, bullets and numbers before a line.
_MARK = re.compile(r"^[\s#>*•-]*(?:\d{1,2}[.)]\s+)?")


def read_scenes(reply: str) -> list[dict[str, str]]:
    """The scenes of a reply in order, each with those of the `FIELDS` that it has.

    A scene begins with a line `Scene 2` or with a field that the one before it has already, so that blank lines may
    stand anywhere. What follows the number (`Scene 2: Debate`) is the type if there is no other. A field runs over
    lines until a blank one or another field. Bold type is removed. A reply in JSON is a list of objects, or an object
    with such a list as `scenes`.

    The published parser needs a blank line between scenes and none within, takes the first line of a background, and
    leaves asterisks in the fields.
    """
    found = json_in(reply)
    if isinstance(members := found.get("scenes") if isinstance(found, dict) else found, list):
        return [_texts(member) for member in members if isinstance(member, dict)]
    scenes: list[dict[str, str]] = []
    current = ""
    for line in reply.splitlines():
        text = _MARK.sub("", line.replace("**", "").replace("__", "")).strip()
        if scene := _SCENE.fullmatch(text):
            scenes.append({"title": scene[1]})
            current = ""
        elif field := _FIELD.fullmatch(text):
            current = field[1].lower()
            if not scenes or current in scenes[-1]:
                scenes.append({})
            scenes[-1][current] = field[2]
        elif text and current and not _OTHER_FIELD.match(text):
            scenes[-1][current] += f" {text}"
        elif text or not current or scenes[-1][current]:
            current = ""
    return [_texts({"type": scene.pop("title", ""), **scene}) for scene in scenes]


def missing(scene: Mapping[str, str]) -> list[str]:
    """The fields that a scene does not have."""
    return [name for name in FIELDS if name not in scene]


def _texts(scene: Mapping[str, object]) -> dict[str, str]:
    """The fields that have text, each on one line."""
    texts = {name: " ".join(value.split()) for name in FIELDS if isinstance(value := scene.get(name), str)}
    return {name: text for name, text in texts.items() if text}
