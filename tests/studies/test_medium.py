"""The study of DPO starts from `gpt2-medium` by its hub id, with no change but the name.

A randomly initialised model of that very configuration lies in the hub's cache under that id, so
that no network is needed. Half an hour of one core and 8 GB: only with ``BEZOAR_SLOW=1``.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from bezoar.compare.models import WeightDrift
from bezoar.corpus import load_corpus
from bezoar.locate import ValueRanking
from bezoar.mitigate.preference import TrainingLog
from bezoar.runs import load_result
from bezoar.studies.dpo.claims import Claims
from tests.studies.tiny import TINY

VOCABULARY = 50_257
REVISION = "0" * 40
FEW: dict[str, Any] = {
    # Two windows of its context in each half.
    "data": {"limit": 60, "neutral_tokens": 4_500},
    "locate": {**TINY["locate"], "top_values": 16},
    "pairs": {"steered": 60, "margin": 0.0, "pplm": 4, "pplm_iterations": 3},
    "mitigate": {**TINY["mitigate"], "methods": ["dpo:steps=7"], "max_evaluations": 2},
    "compare": {"prompts": 4, "lens_prompts": 4, "neurons": 4, "layers": 1, "draws": 2}
    | {"t_values": [0, 1], "examples": 1},
    "attack": {"grid": "quick", "attacks": ["noise"], "edits": ["dpo-as-trained"], "prompts": 4}
    | {"neutral_tokens": 2_100, "probe_texts": 20, "resamples": 100},
}


def tokenizer() -> PreTrainedTokenizerFast:
    """As many tokens as GPT-2's: letters, and whole words of the demo's texts."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = (w for text in load_corpus("demo").texts for w in re.findall(r"[a-z]{2,12}", text))
    filler = (f"Ġword{number}" for number in range(VOCABULARY))
    tokens = dict.fromkeys(["<|endoftext|>", *letters, *(f"Ġ{word}" for word in words), *filler])
    vocabulary = {token: number for number, token in enumerate(list(tokens)[:VOCABULARY])}
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=[], ignore_merges=True))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    end = "<|endoftext|>"
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token=end, bos_token=end)


def fill_cache(cache: Path) -> None:
    """What a download of ``gpt2-medium`` would leave, with random weights."""
    repository = cache / "models--gpt2-medium"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(REVISION)
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=VOCABULARY, n_embd=1024, n_layer=24, n_head=16)
    config.bos_token_id = config.eos_token_id = 0
    snapshot = repository / "snapshots" / REVISION
    GPT2LMHeadModel(config).save_pretrained(snapshot)
    tokenizer().save_pretrained(snapshot)


@pytest.mark.slow
@pytest.mark.skipif(os.environ.get("BEZOAR_SLOW") != "1", reason="half an hour: BEZOAR_SLOW=1")
def test_the_study_starts_from_gpt2_medium_by_its_hub_id(tmp_path):
    fill_cache(tmp_path / "hub")
    config = tmp_path / "few.yaml"
    config.write_text(yaml.safe_dump(TINY | FEW))
    out = tmp_path / "run"
    command = [sys.executable, "-m", "bezoar", "study", "dpo", "gpt2-medium"]
    here = os.environ | {"HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"}
    subprocess.run(
        [*command, "--config", str(config), "--out", str(out), "--quiet"], env=here, check=True
    )
    values = load_result(out / "locate" / "values.json", ValueRanking)
    assert values.considered == 24 * 4096
    log = load_result(out / "mitigate" / "training" / "dpo-steps=7" / "log.json", TrainingLog)
    assert (log.trained, log.validation[0].accuracy) == (354_823_168, 0.5)
    assert len(log.steps) == 7  # all of them, whether or not a fresh model got better
    drift = load_result(out / "compare" / "drift.json", WeightDrift)
    assert 0 < drift.relative < 1e-2
    claims = load_result(out / "claims" / "claims.json", Claims)
    # Biases of a fresh model are zero, and any step turns those: only that it is decided counts.
    assert claims.of("weights-stay").verdict in ("holds", "fails")
    assert json.loads((out / "report" / "stage.json").read_text())["state"] == "done"
