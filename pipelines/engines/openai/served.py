"""What a server says before it is asked anything: the models that it offers."""

import json
import os
from typing import Any

from synth.pipelines.engines.openai.refusals import KEY_HINT
from synth.schemas.errors import EngineFailed, UsageError

__all__ = ["CONNECT_SECONDS", "NoModelList", "authorization", "find_card", "served_models"]

CONNECT_SECONDS = 30


class NoModelList(EngineFailed):
    """A server answers, but with no list of models."""


def served_models(base_url: str) -> list[dict[str, Any]]:
    """The cards of the models at `base_url`, each with its `id`. Blocks.

    Raises `NoList` where a server does not list its models, `EngineFailed` where none answers or it refuses the key.
    """
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import Request as UrlRequest
    from urllib.request import urlopen

    url = f"{base_url.rstrip('/')}/models"
    try:
        with urlopen(UrlRequest(url, headers=authorization()), timeout=CONNECT_SECONDS) as response:
            cards = _cards(json.load(response))
    except HTTPError as error:
        with error:
            if error.code == 401:
                raise EngineFailed(f"{url} answers 401 {error.reason}; {KEY_HINT}") from error
            hint = KEY_HINT if error.code == 403 else "a --base-url usually ends in /v1"
            raise NoModelList(f"{url} answers {error.code} {error.reason}; {hint}") from error
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise EngineFailed(f"no LLM server answers at {url} ({reason}); start it or correct --base-url") from error
    except (ValueError, RecursionError):
        cards = []
    if not cards:
        raise NoModelList(f"{url} does not answer with a list of models; correct --base-url")
    return cards


def find_card(model: str, cards: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The card of a model, which a list may name with a prefix, or with a tag that the model's name leaves open."""
    for card in cards:
        name = card["id"].removeprefix("models/")
        if name in (model.removeprefix("models/"), f"{model}:latest") or name == model.partition(":")[0]:
            return card
    return None


def authorization() -> dict[str, str]:
    """The header with the key in OPENAI_API_KEY. Raises `UsageError` where no header can hold it."""
    key = os.environ.get("OPENAI_API_KEY", "").strip()
    if not (key.isascii() and key.isprintable()):
        raise UsageError("OPENAI_API_KEY holds characters that no key can have; set it again")
    return {"Authorization": f"Bearer {key}"} if key else {}


def _cards(body: Any) -> list[dict[str, Any]]:
    """The cards in a list that stands alone or under a name, each as it is or as a name."""
    listed = (body.get("data") or body.get("models")) if isinstance(body, dict) else body
    cards = []
    for card in listed if isinstance(listed, list) else ():
        fields = card if isinstance(card, dict) else {"id": card}
        name = fields.get("id") or fields.get("name")
        if isinstance(name, str) and name:
            cards.append({**fields, "id": name})
    return cards
