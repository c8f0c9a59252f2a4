"""`dataset_info.json`, the list of datasets that LLaMA-Factory can load, and how."""

from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from synth.schemas.atomic import write_json
from synth.schemas.errors import UsageError
from synth.schemas.layout import Layout

__all__ = ["TrainerList"]

# Each entry has one of these keys for the source of the dataset.
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
TOOL_CHATS: dict[str, Any] = {
    "formatting": "sharegpt",
    "tags": {
        "role_tag": "from",
        "content_tag": "value",
        "user_tag": "human",
        "assistant_tag": "gpt",
        "system_tag": "system",
        "function_tag": "function_call",
        "observation_tag": "observation",
    },
}
# The columns of chats and Alpaca rows, by the names in the list.
TOOL_CHAT_COLUMNS = {"messages": "conversations", "tools": "tools"}
CHAT_COLUMNS = {"messages": "messages", "tools": "tools"}
ALPACA_COLUMNS = {
    "prompt": "instruction",
    "query": "input",
    "response": "output",
    "system": "system",
    "history": "history",
    "chosen": "chosen",
    "rejected": "rejected",
    "kto_tag": "kto_tag",
}


class TrainerList:
    """The `dataset_info.json` in the folder of a file for LLaMA-Factory.

    Raises `UsageError` if it is something else, such as that of a dataset directory, or if LLaMA-Factory cannot read
    files with this suffix.
    """

    def __init__(self, file: Path) -> None:
        if file.suffix not in (".jsonl", ".parquet"):
            raise UsageError(f"{file}: LLaMA-Factory reads only files that end in .jsonl or .parquet")
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
                raise UsageError(f"{self.path} is not a list of datasets for LLaMA-Factory: write to another directory")

    def add(self, schema: pa.Schema) -> str:
        """List the file under its name without suffix, replacing an entry with that name. Returns the name."""
        known, how = (CHAT_COLUMNS, CHATS) if "messages" in schema.names else (ALPACA_COLUMNS, {})
        if "chosen" in schema.names:
            how = {"ranking": True}
        if "conversations" in schema.names:
            known, how = TOOL_CHAT_COLUMNS, TOOL_CHATS
        columns = {theirs: ours for theirs, ours in known.items() if ours in schema.names}
        self._listed[self._file.stem] = {"file_name": self._file.name, **how, "columns": columns}
        write_json(self.path, self._listed)
        return self._file.stem
