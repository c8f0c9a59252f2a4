"""Charts of `synth report` as SVG files of their own, in its light colours, because no stylesheet comes with a file."""

import re
from pathlib import Path

from synth.cli.report import frame
from synth.cli.report.drawing import draw
from synth.cli.report.frame import Chart

__all__ = ["write"]

STYLESHEET = Path(frame.__file__).with_name("page.css")


def write(chart: Chart, label: str, file: Path) -> None:
    # The first definition of a colour is that of the light theme.
    colours = dict(reversed(re.findall(r"(--[\w-]+): (#\w+);", STYLESHEET.read_text())))
    drawn = re.sub(r"var\((--[\w-]+)\)", lambda match: colours[match[1]], draw(chart, label))
    style = f"background: {colours['--paper']}; font-family: sans-serif"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(drawn.replace("<svg ", f'<svg style="{style}" ', 1) + "\n")
