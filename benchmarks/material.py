"""A random GPT-2 small, and texts as token ids of given lengths."""

from __future__ import annotations

from typing import Any

import numpy as np

CONTEXT = 1024


def lengths(data: str | None, n: int, seed: int = 0) -> tuple[np.ndarray, str]:
    """Tokens of ``n`` texts drawn at random, and where the lengths come from.

    Without data they are lognormal (median 20, mean 32 tokens). With data they are those of a
    byte-level BPE of GPT-2's size, made from the texts themselves (GPT-2's own is on a hub).
    All are cut at the context.
    """
    rng = np.random.default_rng(seed)
    if data is None:
        drawn = np.exp(rng.normal(np.log(20), 0.97, n)).round().astype(np.int64)
        return drawn.clip(1, CONTEXT), "lognormal lengths"
    from tokenizers import ByteLevelBPETokenizer

    from bezoar.corpus import load_corpus

    texts = load_corpus(data).texts
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(texts, vocab_size=50_257, show_progress=False)
    chosen = rng.permutation(len(texts))[:n]
    counts = [len(row.ids) for row in tokenizer.encode_batch([texts[i] for i in chosen])]
    return np.array(counts, dtype=np.int64).clip(1, CONTEXT), f"lengths of {data.split(':')[0]}"


def token_table(counts: np.ndarray, vocabulary: int, seed: int = 0) -> Any:
    """Random token ids of these lengths: values do not matter to speed."""
    from bezoar.activations import TokenTable

    ids = np.random.default_rng(seed).integers(0, vocabulary, int(counts.sum())).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return TokenTable(ids, offsets, CONTEXT, 0)


def random_gpt2(seed: int = 0) -> Any:
    """GPT-2 small as its configuration makes it: 124M random weights, no pretrained ones."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(seed)
    return GPT2LMHeadModel(GPT2Config()).eval()


def byte_tokenizer() -> Any:
    """A tokenizer that reads any text: one token a byte."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    end = "<|endoftext|>"
    vocab = {end: 0} | {letter: i + 1 for i, letter in enumerate(alphabet)}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=end, eos_token=end, pad_token=end
    )


def language_model(seed: int = 0) -> Any:
    """The same model as bezoar sees it."""
    from bezoar.models import LanguageModel

    return LanguageModel(random_gpt2(seed), byte_tokenizer(), name="random GPT-2 small")


def make_store(
    folder: Any,
    rows: int,
    widths: dict[str, int],
    shards: int,
    *,
    gelu: bool = False,
    seed: int = 0,
) -> Any:
    """An activation store of random rows, one a text, cut into so many shards."""
    from dataclasses import replace

    import torch

    from bezoar.activations import ActivationStore, BatchPlan, Manifest
    from bezoar.activations.manifest import FileMark, save_plan, shard_name, write_shard

    folder.mkdir(parents=True, exist_ok=True)
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    sizes = np.diff(np.linspace(0, rows, shards + 1).astype(np.int64))
    plan = BatchPlan(rng.permutation(rows), sizes, np.ones(rows, dtype=np.int64))
    marks = []
    for number, size in enumerate(sizes.tolist()):
        tensors = {}
        for site, width in widths.items():
            values = torch.randn(size, width, generator=generator)
            tensors[site] = (torch.nn.functional.gelu(2 * values) if gelu else values).half()
        marks.append(write_shard(folder / shard_name(number), tensors, size, 1))
    manifest = Manifest(
        format="bezoar-activations-1",
        model="random",
        fingerprint="",
        variant="",
        sites=tuple(widths),
        widths=tuple(widths.values()),
        pooling="mean",
        dtype="float16",
        texts=rows,
        tokens=rows,
        rows=rows,
        truncated=0,
        max_tokens=1,
        digest="",
        budget_tokens=1,
        plan=FileMark(0, 0, 0, ""),
    )
    manifest = replace(manifest, plan=save_plan(folder, plan, None), shards=tuple(marks))
    replace(manifest, complete=True).save(folder)
    return ActivationStore.open(folder)
