"""Tiny random models of each family, with a tokenizer that reads any text."""

from __future__ import annotations

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    PreTrainedTokenizerFast,
)

FAMILIES = ("gpt2", "llama", "gpt_neox")
WORDS = """
the a of and you are is was it I to not this that fool idiot stupid rotten lovely kind good bad
house tree river day night man woman people think know said will would very so but or as in on
""".split()  # noqa: SIM905 (a list of words reads better as text)


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level, plus a few whole words (with a leading blank); id 0 is the end of text."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {"<|endoftext|>": 0} | {c: i + 1 for i, c in enumerate(alphabet)}
    merges: list[tuple[str, str]] = []
    for word in WORDS:
        left = "Ġ"
        for letter in word:
            merged = left + letter
            if merged not in vocab:
                merges.append((left, letter))
                vocab[merged] = len(vocab)
            left = merged
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    end = "<|endoftext|>"
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=end, eos_token=end, pad_token=end
    )


def tiny_config(family: str, vocab_size: int):
    common = {"vocab_size": vocab_size, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
    if family == "gpt2":
        return GPT2Config(n_embd=32, n_layer=3, n_head=4, n_positions=128, **common)
    sizes = {
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": 128,
    }
    if family == "llama":
        return LlamaConfig(num_key_value_heads=2, **sizes, **common)
    if family == "gpt_neox":  # parallel attention and MLP, as in Pythia
        return GPTNeoXConfig(use_parallel_residual=True, **sizes, **common)
    raise ValueError(family)


def tiny_hf_model(family: str, seed: int = 0):
    """The bare Hugging Face model, with biases and norms moved off their trivial start."""
    torch.manual_seed(seed)
    tokenizer = tiny_tokenizer()
    model = AutoModelForCausalLM.from_config(tiny_config(family, len(tokenizer))).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model, tokenizer


def tiny_model(family: str, seed: int = 0):
    from bezoar.models import LanguageModel

    return LanguageModel(*tiny_hf_model(family, seed), name=f"tiny-{family}")
