"""The list of models that a server offers."""

import json
from collections.abc import Sequence
from typing import Any

from synth.pipelines.engines.openai.refusals import KEY_HINT, KeyRefused
from synth.pipelines.engines.openai.server import Server
from synth.schemas.errors import EngineFailed
from synth.schemas.phrases import listed

__all__ = ["CONNECT_SECONDS", "NoModelList", "Unreachable", "find_card", "none_of", "served_models"]

CONNECT_SECONDS = 30


class NoModelList(EngineFailed):
    """A server answers, but not with a list of models."""


class Unreachable(EngineFailed):
    """No server answers at any of the `places`."""

    def __init__(self, *places: str) -> None:
        one = "it" if len(places) == 1 else "one of them"
        super().__init__(f"no LLM server answers at {listed(places)}; start {one} or correct --base-url")
        self.places = places


def none_of(failures: Sequence[EngineFailed]) -> EngineFailed:
    """The error of servers of which none can be used."""
    places = [place for failure in failures if isinstance(failure, Unreachable) for place in failure.places]
    if len(places) == len(failures):
        return Unreachable(*places)
    return EngineFailed("; ".join(map(str, failures)))


def served_models(server: Server) -> list[dict[str, Any]]:
    """The cards of the models of a server, each with its `id`. Blocks.

    Raises `NoModelList` if the server lists no models, `Unreachable` if it does not answer, and `KeyRefused` if it
    refuses all keys.
    """
    while True:
        key = server.keys.next
        try:
            return _listed(server, key)
        except KeyRefused as refusal:
            server.keys.drop(key, refusal)


def _listed(server: Server, key: str) -> list[dict[str, Any]]:
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import Request as UrlRequest
    from urllib.request import urlopen

    # Without the query, which may hold a key.
    url, shown = server.url("/models"), f"{server.name}/models"
    try:
        with urlopen(UrlRequest(url, headers=server.headers(key)), timeout=CONNECT_SECONDS) as response:
            cards = _cards(json.load(response))
    except HTTPError as error:
        with error:
            if error.code == 401:
                raise KeyRefused(f"{shown} answers 401 {error.reason}; {KEY_HINT}") from error
            hint = KEY_HINT if error.code == 403 else "a --base-url usually ends in /v1"
            raise NoModelList(f"{shown} answers {error.code} {error.reason}; {hint}") from error
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise Unreachable(f"{shown} ({reason})") from error
    except (ValueError, RecursionError):
        cards = []
    if not cards:
        raise NoModelList(f"{shown} does not answer with a list of models; correct --base-url")
    return cards


def find_card(model: str, cards: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The card of a model; the list may add a prefix or a tag to its name."""
    for card in cards:
        name = card["id"].removeprefix("models/")
        if name in (model.removeprefix("models/"), f"{model}:latest") or name == model.partition(":")[0]:
            return card
    return None


def _cards(body: Any) -> list[dict[str, Any]]:
    """The cards in a list, which may be under a key; each is an object or only a name."""
    listed = (body.get("data") or body.get("models")) if isinstance(body, dict) else body
    cards = []
    for card in listed if isinstance(listed, list) else ():
        fields = card if isinstance(card, dict) else {"id": card}
        name = fields.get("id") or fields.get("name")
        if isinstance(name, str) and name:
            cards.append({**fields, "id": name})
    return cards
