"""A real browser, driven over the DevTools protocol through a pipe: no port is opened and nothing may be fetched."""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

__all__ = ["CHROMIUM", "Browser", "Page", "browser"]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--remote-debugging-pipe",
)


class Browser:
    def __init__(self, commands: BinaryIO, answers: BinaryIO) -> None:
        self._commands = commands
        self._answers = answers
        self._number = 0
        self.events: list[dict[str, Any]] = []
        (page,) = [t for t in self.ask("Target.getTargets")["targetInfos"] if t["type"] == "page"]
        self._session = self.ask("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]

    def ask(self, method: str, session: str | None = None, **parameters: Any) -> Any:
        self._number += 1
        request = {"id": self._number, "method": method, "params": parameters}
        if session:
            request["sessionId"] = session
        self._commands.write(json.dumps(request).encode() + b"\0")
        while True:
            message = self._next()
            if message.get("id") == self._number:
                assert "error" not in message, message["error"]
                return message["result"]
            self.events.append(message)

    def _next(self) -> dict[str, Any]:
        message = b""
        while (byte := self._answers.read(1)) != b"\0":
            assert byte, "the browser has gone"
            message += byte
        return dict(json.loads(message))

    def open(self, file: Path, *, width: int = 1280, dark: bool = False) -> "Page":
        """The page as it is once it is loaded."""
        self.events.clear()
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.ask(f"{domain}.enable", self._session)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.ask("Emulation.setEmulatedMedia", self._session, features=scheme)
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.ask("Emulation.setDeviceMetricsOverride", self._session, **size)
        self.ask("Page.navigate", self._session, url=file.resolve().as_uri())
        while not self._seen("Page.loadEventFired"):
            self.events.append(self._next())
        return Page(self, self._session)

    def _seen(self, method: str) -> bool:
        return any(event.get("method") == method for event in self.events)


class Page:
    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session

    def value(self, expression: str) -> Any:
        """What a JavaScript expression gives on the page. The protocol runs it past the page's own policy."""
        answer = self._browser.ask("Runtime.evaluate", self._session, expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def events(self, method: str) -> list[dict[str, Any]]:
        return [event["params"] for event in self._browser.events if event.get("method") == method]

    def screenshot(self, file: Path) -> None:
        picture = self._browser.ask("Page.captureScreenshot", self._session, captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(picture["data"]))


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A browser with a new profile in the folder `profile`."""
    assert CHROMIUM
    (their_input, our_output), (our_input, their_output) = os.pipe(), os.pipe()
    # The protocol is spoken over the descriptors 3 and 4.
    command = ["bash", "-c", f'exec 3<&{their_input} 4>&{their_output}; exec "$0" "$@"']
    with (
        open(our_output, "wb", buffering=0) as commands,  # noqa: PTH123
        open(our_input, "rb") as answers,  # noqa: PTH123
        subprocess.Popen(
            [*command, CHROMIUM, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(their_input, their_output),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process,
    ):
        os.close(their_input)
        os.close(their_output)
        try:
            running = Browser(commands, answers)
            yield running
            running.ask("Browser.close")
        finally:
            process.kill()
