"""Renders a Vega-Lite chart as inline SVG in the page's colours, without scripts."""

from xml.etree import ElementTree

from markupsafe import Markup

from synth.cli.report.frame import Chart
from synth.schemas.errors import UsageError

__all__ = ["draw", "require"]

SVG = "http://www.w3.org/2000/svg"
ElementTree.register_namespace("", SVG)


def require() -> None:
    """Raises `UsageError` if vl-convert-python is not installed."""
    try:
        import vl_convert  # noqa: F401
    except ImportError:
        raise UsageError(
            "synth report needs vl-convert-python, which is not installed: pip install '.[report]'"
        ) from None


def draw(chart: Chart, label: str) -> Markup:
    """The chart as an `svg` element that scales with the page and shows captions on hover.

    A screen reader presents it as one image named `label`; the numbers are in the tables below it.
    """
    import vl_convert

    root = ElementTree.fromstring(vl_convert.vegalite_to_svg(chart, vl_version="6.4", allowed_base_urls=[]))
    for attribute in ("width", "height", "version", "class"):
        root.attrib.pop(attribute, None)
    root.set("role", "img")
    root.set("aria-label", label)
    for mark in list(root.iter())[1:]:
        caption = mark.attrib.pop("aria-label", None)
        if caption and mark.attrib.get("role") == "graphics-symbol":
            ElementTree.SubElement(mark, f"{{{SVG}}}title").text = caption
            mark.set("class", "mark")
        for attribute in ("role", "aria-roledescription", "aria-hidden", "font-family"):
            mark.attrib.pop(attribute, None)
    # The serializer has escaped text and attributes.
    return Markup(ElementTree.tostring(root, encoding="unicode"))
