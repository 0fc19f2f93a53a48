"""Parts of an odd model are named on the command line, and in YAML."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
import transformers as hf
import yaml

from bezoar.models import AnatomyNames
from bezoar.runs import AnatomyConfig, AuditConfig, Run
from bezoar.runs.config import load_config
from tests.models.test_by_hand import ENDS, MLP, Weird
from tests.models.zoo import tiny_tokenizer

NAMES = {part: f"weird.{name}" for part, name in ENDS.items()} | MLP
SET = [word for part, name in NAMES.items() for word in ("--set", f"model.anatomy.{part}={name}")]


class OddConfig(hf.PreTrainedConfig):
    model_type = "odd"


class OddForCausalLM(hf.PreTrainedModel):
    """The structure that nobody has seen, as a checkpoint."""

    config_class = OddConfig

    def __init__(self, config):
        super().__init__(config)
        self.weird = Weird(config.vocab_size)
        self.post_init()

    def _init_weights(self, module):
        pass

    def forward(self, input_ids, attention_mask=None):
        return self.weird(input_ids, attention_mask)


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    folder = tmp_path_factory.mktemp("odd")
    tokenizer = tiny_tokenizer()
    torch.manual_seed(0)
    config = OddConfig(vocab_size=len(tokenizer), num_attention_heads=1, max_position_embeddings=64)
    OddForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    hf.AutoConfig.register("odd", OddConfig)
    hf.AutoModel.register(OddConfig, OddForCausalLM)
    return folder


def test_what_can_be_named_is_the_same_everywhere():
    named = [field.name for field in dataclasses.fields(AnatomyNames)]
    assert named == list(AnatomyConfig.model_fields)


def test_the_advice_leads_to_the_end(bezoar, odd):
    listed = ("list", "sites", "--model", odd)
    status, _, err = bezoar(*listed)
    assert status == 4
    assert "--set model.anatomy.embed=weird.table" in " ".join(err.split())
    status, _, err = bezoar(*listed, "--set", "model.anatomy.embed=weird.table")
    assert status == 4
    assert "weird.stage_{} (3 × Stage)" in " ".join(err.split())
    assert "--set model.anatomy.blocks=" in " ".join(err.split())
    status, out, _ = bezoar(*listed, *SET, "--json")
    assert status == 0
    assert {"0.mlp_gate", "2.attn_out", "embed"} <= json.loads(out).keys()


@pytest.mark.parametrize(
    ("assignment", "status", "said"),
    [
        ("model.anatomy.attention=mixin", 4, "mixing"),
        ("model.anatomy.attentoin=mixing", 2, "attention"),
        ("model.anatomy.final_norm=weird.readout", 4, "cannot read the 379 numbers"),
        ("locate.folds=3", 2, "not about the model"),
    ],
)
def test_a_wrong_name_is_answered(bezoar, odd, assignment, status, said):
    found, _, err = bezoar("list", "sites", "--model", odd, *SET, "--set", assignment)
    assert found == status
    assert said in " ".join(err.split())


def test_yaml_names_the_parts_of_a_run(odd, tmp_path):
    from bezoar.studies.audit.bench import Bench

    path = tmp_path / "odd.yaml"
    path.write_text(yaml.safe_dump({"model": {"name": str(odd), "anatomy": NAMES}}))
    config = load_config(path, AuditConfig)
    with Run.open(tmp_path / "run", config) as run:
        lm = Bench(run, config).lm
    assert lm.anatomy[1].attention is lm.model.weird.stage_1.mixing
    assert lm.values(2).shape == (24, 16)
