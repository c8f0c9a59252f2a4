"""Records docs/resume.svg: a generation that is killed with `kill -9` and resumed with the same command.

python -m docs.resume

The picture holds what the commands printed and what the server counted. The server is the one that the tests use: it
gives every question the same reply after 1.5 seconds, and remembers each request.
"""

import fcntl
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from tests.counting_server import CountingServer, counting_server

PICTURE = Path(__file__).with_suffix(".svg")
QUESTIONS = Path(__file__).parents[1] / "examples" / "questions.jsonl"
COLUMNS = 92
ANSWERED = 32
REPLY = """\
1. **Change specific numbers**: A boat carries 14 people. How many do 3 boats carry?
2. **Introduce fractions or percentages**: A boat carries 12 people and is 3/4 full. How many people are in it?
3. **Combine multiple concepts**: A boat carries 12 people at $5 each. What do 3 full boats earn?
4. **Include a conditional statement**: If a boat carries 12 people, how many boats do 30 people need?
5. **Increase the complexity of the problem**: Boats carry 12 or 8 people. How many carry 44 with 4 boats?
"""
FONTS = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace"
COLOURS = ("484f58", "ff7b72", "7ee787", "e3b341", "79c0ff", "d2a8ff", "56d3da", "c9d1d9")


def rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(colour)
    return red, green, blue


class Terminal:
    """A command on a pseudo-terminal of `COLUMNS` columns."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self._read, write = pty.openpty()
        fcntl.ioctl(write, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color"}
        self.process = subprocess.Popen(command, cwd=folder, stdout=write, stderr=write, env=environment)
        os.close(write)

    def screen(self) -> list[str]:
        """Wait for the command to end, and return the lines left on the screen, with their colours."""
        written = b""
        while True:
            try:
                written += os.read(self._read, 65536)
            except OSError:
                break
        self.process.wait()
        os.close(self._read)
        return [drawn for line in written.decode().split("\n") if (drawn := last_drawn(line))]


def last_drawn(line: str) -> str:
    """The final content of a line that a progress bar has redrawn many times."""
    kept = ""
    for part in re.split(r"\r|\x1b\[2K", line):
        kept = re.sub(r"\x1b\[[0-9;?]*[A-Zabd-ln-z]", "", part) or kept
    return kept if re.sub(r"\x1b\[[0-9;]*m", "", kept).strip() else ""


def answered(server: CountingServer) -> set[int]:
    """The seeds of the requests whose answers were sent; each row has a seed of its own."""
    now = time.monotonic()
    return {body["seed"] for body, at in zip(server.asked, server.times, strict=True) if now - at > server.delay}


def record(folder: Path, console: Console) -> None:
    shutil.copy(QUESTIONS, folder)
    with counting_server(delay=1.5, says=lambda _: REPLY) as server:
        words = f"augment evolve questions.jsonl evolved --base-url {server.url}"
        command = [str(Path(sys.executable).with_name("synth")), *words.split(), "--engine-arg", "concurrency=16"]
        typed = f"$ synth {words} \\\n    --engine-arg concurrency=16"

        console.print(Text(typed, "bold"))
        first = Terminal(command, folder)
        while len(answered(server)) < ANSWERED:
            time.sleep(0.05)
        # Answers are flushed to the journal twice a second.
        time.sleep(0.75)
        had = answered(server)
        first.process.send_signal(signal.SIGKILL)
        for line in first.screen()[-1:]:
            console.print(Text.from_ansi(line))
        console.print(Text("Killed", "red"))
        before = len(server.asked)
        time.sleep(server.delay)

        console.print(Text(f"\n{typed}", "bold"))
        for line in Terminal(command, folder).screen():
            console.print(Text.from_ansi(line))
        resumed = [body["seed"] for body in server.asked[before:]]

    console.print(Text("\nThe server counted:", "bold"))
    again = sum(seed in had for seed in resumed)
    for text in (
        f"{before} requests before the kill: {len(had)} answered, {before - len(had)} in flight",
        f"{len(resumed)} requests after the kill",
        f"{again} answers requested twice",
    ):
        console.print(Text(text))


def main() -> None:
    console = Console(record=True, width=COLUMNS, file=sys.stdout, force_terminal=True, color_system="truecolor")
    with tempfile.TemporaryDirectory() as folder:
        record(Path(folder), console)
    template = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    template = template.replace("Fira Code, monospace", FONTS).replace("font-family: arial", "font-family: sans-serif")
    # Most monospaced fonts are 0.6 as wide as high, so that the picture is right where `textLength` is not known.
    theme = TerminalTheme(rgb("161b22"), rgb("c9d1d9"), [rgb(colour) for colour in COLOURS])
    svg = console.export_svg(
        title="kill -9 and resume", theme=theme, code_format=template, font_aspect_ratio=0.6, unique_id="resume"
    )
    PICTURE.write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n")


if __name__ == "__main__":
    main()
