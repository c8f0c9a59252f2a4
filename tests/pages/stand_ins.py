"""What stands for the models that commands name and this machine does not have."""

from collections.abc import Iterable
from pathlib import Path

from synth.pipelines.engines.models import TINY_FOLDER
from tests.counting_server import CountingServer
from tests.pages.shell import Shell
from tests.pipelines.retrieval.meanings import MODEL
from tests.pipelines.reward import reward_model

__all__ = ["lend_models"]

# By their place below the folder, which comes before the hub.
ENCODERS = (
    "whaleloops/phrase-bert",
    "my-encoder",
    "sentence-transformers/all-MiniLM-L6-v2",
    "intfloat/e5-base-v2",
)
REWARD_MODEL = "Skywork/Skywork-Reward-V2-Qwen3-8B"


def lend_models(shell: Shell, commands: Iterable[str], server: CountingServer) -> None:
    """Let these commands find the models that they name; those that are asked are the server."""
    text = "\n".join(commands)
    shell.stand_ins |= {
        r"^(?=.*--base-url)(.*) --model \S+": r"\1",
        r"^(?!synth self-lengthen train)(.*) --model \S+": rf"\1 --base-url {server.url}",
        r"--tokenizer \S+": "--tokenizer tiny",
        # The tokenizer of a model that a server stands for.
        r"^(synth think (?!.*--tokenizer).*)": r"\1 --tokenizer tiny",
    }
    if MODEL:
        for encoder in ENCODERS:
            (shell.folder / encoder).parent.mkdir(exist_ok=True)
            (shell.folder / encoder).symlink_to(MODEL)
    if REWARD_MODEL in text:
        reward_model(shell.folder / REWARD_MODEL, context=4096)
    if "self-lengthen train" in text:
        small = small_model(shell.root / "small")
        shell.stand_ins |= {
            r"^(synth self-lengthen train .*)--model \S+": rf"\1--model {small}",
            r"^(synth self-lengthen train (?!.*--train-command).*)": r"\1 --epochs 1 --limit 16",
        }


def small_model(folder: Path) -> Path:
    """A language model of random weights that reads long texts and is trained in no time."""
    from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(TINY_FOLDER)
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "max_position_embeddings": 2048}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2}
    Qwen2ForCausalLM(Qwen2Config(vocab_size=len(tokenizer), **shape, **heads)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
