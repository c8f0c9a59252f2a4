"""What libraries print about themselves is left out; variables of the environment that the user sets take precedence.

Errors still arrive as exceptions, and what concerns the user is said by synth.
"""

import logging
import os
import sys
import warnings

__all__ = ["quiet_libraries", "without_bars"]

# Read by the libraries when they are imported.
_VARIABLES = {
    "HF_HUB_VERBOSITY": "error",
    "DATASETS_VERBOSITY": "error",
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TORCH_CPP_LOG_LEVEL": "ERROR",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
}
# These log while they are imported. PyTorch warns that triton is missing, which only a GPU needs.
_LOGGERS = ("sentence_transformers", "torch._library.triton")


def quiet_libraries() -> None:
    """To be called before a library that talks is imported. Bars of downloads and uploads remain on a terminal."""
    defaults = {**_VARIABLES, "VLLM_LOGGING_LEVEL": os.environ.get("SYNTH_VLLM_LOG") or "ERROR"}
    if not sys.stderr.isatty():
        defaults["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    # vLLM logs while it is imported, before it sets up its own logging.
    logging.getLogger("vllm").setLevel(os.environ["VLLM_LOGGING_LEVEL"].upper())
    warnings.filterwarnings("ignore", category=FutureWarning, module="vllm")


def without_bars() -> None:
    """Import transformers without its bars for the loading of weights."""
    quiet_libraries()
    import transformers
    from huggingface_hub.utils import are_progress_bars_disabled, enable_progress_bars

    downloads_are_shown = not are_progress_bars_disabled()
    transformers.utils.logging.disable_progress_bar()
    if downloads_are_shown:
        enable_progress_bars()
