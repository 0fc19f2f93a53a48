"""Train the demo language model that is shipped now, of 3 M parameters (``pretrain.py``: the next).

    python recipes/demo/train_model.py --data-root DATA --out demo/src/bezoar_demo/model

One thread, at most an hour of it; resumes from the last checkpoint (every 5 minutes). The model is
an ordinary ``GPT2LMHeadModel``. Matrices inside the blocks are trained with Muon (momentum
orthogonalised by Newton-Schulz steps, Jordan et al. 2024; in fp32, bf16 being slow on CPUs), the
rest with AdamW; warm-up, then linear decay to zero.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path

import numpy as np
import torch
from muon import Muon
from text import SOURCES, training_rows
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn import functional as F
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

END = "<|endoftext|>"
VOCAB, CONTEXT, WIDTH, LAYERS, HEADS = 4096, 256, 192, 5, 6
BATCH = 32  # sequences of CONTEXT tokens in a step
PASSES = {  # how often a source's rows are seen in one pass over the stream
    "reddit_selfposts": 0.14,
    "wikitext2": 1.0,
    "jigsaw": 0.5,
    "jigsaw_toxic": 3.0,
    "civil_comments": 1.0,
    "civil_semeval": 1.0,
}


def train_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """A byte-level BPE, as GPT-2's, of VOCAB entries."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END,
        eos_token=END,
        pad_token=END,
        model_max_length=CONTEXT,
    )


def sampled(texts: list[str], passes: float, rng: random.Random) -> list[str]:
    """``passes`` epochs of ``texts``: whole copies, then a random part of one."""
    whole, part = divmod(passes, 1)
    return texts * int(whole) + rng.sample(texts, round(part * len(texts)))


def collect(root: Path, seed: int) -> tuple[list[str], dict[str, int]]:
    """The shuffled documents of one pass, and how many characters each source gives."""
    rng = random.Random(seed)
    documents: list[str] = []
    characters: dict[str, int] = {}
    for source in (source for source in SOURCES if source.name in PASSES):
        pairs = training_rows(source, root)
        groups = {source.name: [t for t, _ in pairs]}
        if source.name == "jigsaw":
            groups = {
                "jigsaw": [t for t, toxic in pairs if not toxic],
                "jigsaw_toxic": [t for t, toxic in pairs if toxic],
            }
        for name, texts in groups.items():
            chosen = [t[:4000] for t in sampled(texts, PASSES[name], rng)]
            characters[name] = sum(map(len, chosen))
            documents += chosen
    rng.shuffle(documents)
    return documents, characters


def prepare(root: Path, work: Path, seed: int) -> tuple[np.ndarray, PreTrainedTokenizerFast]:
    """Tokenise the stream once and keep it as uint16 beside the checkpoints."""
    tokens_file = work / "tokens.npy"
    if tokens_file.exists():
        return np.load(tokens_file), PreTrainedTokenizerFast.from_pretrained(work / "tokenizer")
    documents, characters = collect(root, seed)
    tokenizer = train_tokenizer(documents[:: max(1, len(documents) // 60_000)])
    end = tokenizer.eos_token_id
    ids: list[int] = []
    for start in range(0, len(documents), 1000):
        for row in tokenizer(documents[start : start + 1000], add_special_tokens=False).input_ids:
            ids += [end, *row]
    tokens = np.array(ids, dtype=np.uint16)
    tokenizer.save_pretrained(work / "tokenizer")
    (work / "stream.json").write_text(json.dumps({"characters": characters, "tokens": len(tokens)}))
    np.save(tokens_file, tokens)
    return tokens, tokenizer


def build(vocab_size: int) -> GPT2LMHeadModel:
    config = GPT2Config(
        vocab_size=vocab_size,
        n_positions=CONTEXT,
        n_embd=WIDTH,
        n_layer=LAYERS,
        n_head=HEADS,
        activation_function="gelu_pytorch_tanh",
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
    )
    return GPT2LMHeadModel(config)


def optimisers(model: GPT2LMHeadModel) -> list[torch.optim.Optimizer]:
    matrices = [p for n, p in model.named_parameters() if ".h." in n and p.ndim == 2]
    known = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in known]
    return [
        Muon(matrices, lr=6e-3, weight_decay=0.02),
        torch.optim.AdamW(rest, lr=4e-3, betas=(0.9, 0.95), weight_decay=0.0, fused=True),
    ]


def save_checkpoint(path: Path, model, optims, step: int, curve: list, seconds: float) -> None:
    state = {
        "model": model.state_dict(),
        "optims": [o.state_dict() for o in optims],
        "step": step,
        "curve": curve,
        "seconds": seconds,
    }
    torch.save(state, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)


def train(tokens: np.ndarray, vocab: int, steps: int, work: Path, seed: int):
    """Run ``steps`` steps over shuffled windows of the stream; return the model and its record."""
    torch.manual_seed(seed)
    model = build(vocab)
    optims = optimisers(model)
    peak = [[g["lr"] for g in o.param_groups] for o in optims]
    start, curve, spent = 0, [], 0.0
    checkpoint = work / "checkpoint.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        for optim, saved in zip(optims, state["optims"], strict=True):
            optim.load_state_dict(saved)
        start, curve, spent = state["step"], state["curve"], state["seconds"]
    windows = len(tokens) // CONTEXT
    began = time.process_time() - spent
    saved_at = time.monotonic()
    for step in range(start, steps):
        epoch, offset = divmod(step * BATCH, windows - windows % BATCH)
        order = np.random.default_rng([seed, epoch]).permutation(windows)[offset : offset + BATCH]
        shift = int(np.random.default_rng([seed, epoch, 1]).integers(CONTEXT)) if epoch else 0
        rows = [tokens[w * CONTEXT + shift :][:CONTEXT] for w in order]
        rows = [r if len(r) == CONTEXT else tokens[:CONTEXT] for r in rows]
        batch = torch.from_numpy(np.stack(rows).astype(np.int64))
        scale = min(1.0, (step + 1) / 60) * (1 - step / steps)
        for optim, rates in zip(optims, peak, strict=True):
            for group, rate in zip(optim.param_groups, rates, strict=True):
                group["lr"] = rate * scale
        logits = model(batch).logits[:, :-1]
        loss = F.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optim in optims:
            optim.step()
            optim.zero_grad(set_to_none=True)
        if step % 10 == 9:
            seconds = time.process_time() - began
            curve.append([step + 1, round(loss.item(), 4)])
            rate = (step + 1) * BATCH * CONTEXT / seconds
            print(f"step {step + 1}/{steps} loss {loss.item():.3f} {rate:.0f} tok/s", flush=True)
        if time.monotonic() - saved_at > 300:
            save_checkpoint(checkpoint, model, optims, step + 1, curve, time.process_time() - began)
            saved_at = time.monotonic()
    return model, curve, time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("recipes/demo/work"))
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.work.mkdir(parents=True, exist_ok=True)
    tokens, tokenizer = prepare(args.data_root, args.work, args.seed)
    print(f"{len(tokens):,} tokens", flush=True)
    model, curve, seconds = train(tokens, len(tokenizer), args.steps, args.work, args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    model.half().save_pretrained(args.out)
    tokenizer.save_pretrained(args.out)
    record = json.loads((args.work / "stream.json").read_text()) | {
        "steps": args.steps,
        "tokens_seen": args.steps * BATCH * CONTEXT,
        "cpu_seconds": round(seconds),
        "parameters": sum(p.numel() for p in model.parameters()),
        "seed": args.seed,
        "curve": curve,
    }
    (args.out / "training.json").write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
