"""Where requests go, and the headers that they carry: keys used in turn, and headers of the user's own."""

import logging
import os
import re
import time
from collections import deque
from collections.abc import Mapping, Sequence
from functools import cached_property
from string import Template
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from synth.schemas.errors import EngineFailed, UsageError

__all__ = ["Keys", "Server"]

# Azure's own hosts, and the paths of its API on any host, such as that of a gateway.
_AZURE_HOST = re.compile(r"\.azure\.(com|us|cn)$|\.azure-api\.net$", re.IGNORECASE)
_DEPLOYMENT = re.compile(r"/openai/deployments/([^/]+)$")
# An address that was copied with the path of one of its methods.
_METHOD = re.compile(r"(/chat)?/completions$")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~\w-]+", re.ASCII)
# Seconds that a key rests if the server that limits its rate does not say how long.
_REST = 2.0


class Keys:
    """Keys that requests use in turn. One that is rate limited rests; one that is refused is dropped."""

    def __init__(self, keys: Sequence[str]) -> None:
        # Without any key, requests carry none.
        self._numbers = {key: number for number, key in enumerate(dict.fromkeys(keys) or [""], 1)}
        self._turns = deque(self._numbers)
        self._rested = dict.fromkeys(self._numbers, 0.0)

    def __len__(self) -> int:
        return len(self._turns)

    @property
    def next(self) -> str:
        """The next key, even if it rests."""
        return self._turns[0]

    def take(self) -> str | None:
        """The next key; None while all of them rest."""
        for _ in range(len(self._turns)):
            key = self._turns[0]
            self._turns.rotate(-1)
            if self._rested[key] <= time.monotonic():
                return key
        return None

    def rest(self, key: str, seconds: float | None) -> None:
        self._rested[key] = time.monotonic() + (_REST if seconds is None else seconds)

    @property
    def wait(self) -> float:
        """Seconds until the first key has rested."""
        return max(0.0, min(self._rested[key] for key in self._turns) - time.monotonic())

    def drop(self, key: str, refusal: EngineFailed) -> None:
        """Stop using a key, with a warning. Raises the `refusal` if there is no other."""
        if key not in self._turns:
            return
        if len(self._turns) == 1:
            raise refusal
        self._turns.remove(key)
        logging.getLogger("synth").warning(
            "key %d of the %d in OPENAI_API_KEY is no longer used: %s", self._numbers[key], len(self._numbers), refusal
        )


class Server:
    """A server at `base_url`, whose query, such as Azure's `api-version`, is part of every address.

    `headers` are added to every request. `$NAME` in their values is that environment variable, and `$$` a dollar sign.
    The environment is read when the first request is made.
    """

    def __init__(self, base_url: str, headers: Mapping[str, str] | None = None) -> None:
        parts = urlsplit(base_url)
        path = _METHOD.sub("", parts.path.rstrip("/"))
        deployment = _DEPLOYMENT.search(path)
        self._query = f"?{parts.query}" if parts.query else ""
        self._headers = headers or {}
        # By key.
        self._made: dict[str, dict[str, str]] = {}
        self.name = urlunsplit((parts.scheme, parts.netloc, path, "", ""))
        self.is_azure = bool(deployment or _AZURE_HOST.search(parts.hostname or ""))
        # The deployment that the address selects, whatever model a request names.
        self.deployment = deployment[1] if deployment else None

    def __getstate__(self) -> dict[str, Any]:
        """With the keys and headers of this machine's environment, which other machines may not have."""
        return {**self.__dict__, "keys": self.keys, "_own": self._own}

    def url(self, path: str) -> str:
        return f"{self.name}{path}{self._query}"

    @property
    def url_of_tokenizer(self) -> str:
        """Beside the addresses of the protocol: vLLM makes tokens of texts there."""
        return f"{self.name.removesuffix('/v1')}/tokenize{self._query}"

    @cached_property
    def keys(self) -> Keys:
        """The keys in OPENAI_API_KEY. Raises `UsageError` if one is not valid in a header."""
        keys = [key for part in os.environ.get("OPENAI_API_KEY", "").split(",") if (key := part.strip())]
        if not all(map(_is_printable, keys)):
            raise UsageError("OPENAI_API_KEY has characters that are not valid in a key; set it again")
        return Keys(keys)

    def headers(self, key: str) -> dict[str, str]:
        """The headers of a request, with lower-case names. Raises `UsageError` if one cannot be sent."""
        if key not in self._made:
            proof = {"api-key": key} if self.is_azure else {"authorization": f"Bearer {key}"}
            self._made[key] = {"content-type": "application/json", **(proof if key else {}), **self._own}
        return self._made[key]

    @cached_property
    def _own(self) -> dict[str, str]:
        return {name.lower(): _filled(name, value) for name, value in self._headers.items()}


def _filled(name: str, value: str) -> str:
    try:
        filled = Template(value).substitute(os.environ).strip()
    except KeyError as missing:
        raise UsageError(
            f"--header {name}: the environment has no variable {missing.args[0]} ($$ stands for a dollar sign)"
        ) from None
    except ValueError:
        raise UsageError(f"--header {name}: a $ is not followed by a name ($$ stands for a dollar sign)") from None
    if not (_HEADER_NAME.fullmatch(name) and _is_printable(filled)):
        raise UsageError(f"--header {name}: its name or value has characters that are not valid in a header")
    return filled


def _is_printable(text: str) -> bool:
    return text.isascii() and text.isprintable()
