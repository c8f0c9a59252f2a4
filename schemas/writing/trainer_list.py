"""The list by which LLaMA-Factory finds datasets and learns how to read them."""

from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from synth.schemas.atomic import write_json
from synth.schemas.errors import UsageError
from synth.schemas.layout import Layout

__all__ = ["TrainerList"]

# One of these says where a dataset comes from.
LISTED_AS = {"file_name", "hf_hub_url", "ms_hub_url", "om_hub_url", "script_url", "cloud_file_name"}
CHATS: dict[str, Any] = {
    "formatting": "sharegpt",
    "tags": {
        "role_tag": "role",
        "content_tag": "content",
        "user_tag": "user",
        "assistant_tag": "assistant",
        "system_tag": "system",
    },
}
# Its names of the columns of chats and of Alpaca's rows.
CHAT_COLUMNS = {"messages": "messages", "tools": "tools"}
ALPACA_COLUMNS = {
    "prompt": "instruction",
    "query": "input",
    "response": "output",
    "system": "system",
    "history": "history",
}


class TrainerList:
    """The `dataset_info.json` beside a file for LLaMA-Factory, which names the datasets that lie there.

    Raises `UsageError` where it is something else, as the one of a dataset directory is, or where LLaMA-Factory cannot
    read the file.
    """

    def __init__(self, file: Path) -> None:
        if file.suffix not in (".jsonl", ".parquet"):
            raise UsageError(f"{file}: LLaMA-Factory knows a file by its name, which must end in .jsonl or .parquet")
        self._file = file
        self.path = Layout(file.parent).info
        self._listed: dict[str, Any] = {}
        if self.path.exists():
            try:
                self._listed = orjson.loads(self.path.read_bytes())
                is_list = all(isinstance(entry, dict) and LISTED_AS & entry.keys() for entry in self._listed.values())
            except (ValueError, AttributeError):
                is_list = False
            if not is_list:
                raise UsageError(f"{self.path} is no list of datasets for LLaMA-Factory: write to another directory")

    def add(self, schema: pa.Schema) -> str:
        """List the file, by its name without the ending, in the place of what had that name; the name."""
        known, how = (CHAT_COLUMNS, CHATS) if "messages" in schema.names else (ALPACA_COLUMNS, {})
        columns = {theirs: ours for theirs, ours in known.items() if ours in schema.names}
        self._listed[self._file.stem] = {"file_name": self._file.name, **how, "columns": columns}
        write_json(self.path, self._listed)
        return self._file.stem
