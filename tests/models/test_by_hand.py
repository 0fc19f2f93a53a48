"""A structure nobody has seen: what is said of it, and that naming its parts is enough."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn
from transformers import PreTrainedConfig

from bezoar.activations import harvest
from bezoar.edits import Add, self_test
from bezoar.errors import UnsupportedAnatomy
from bezoar.models import AnatomyNames, Decoding, LanguageModel, Site, check_parity, generate
from tests.edits.kit import one, unit
from tests.models.helpers import TEXTS
from tests.models.zoo import tiny_tokenizer


class Mixing(nn.Module):
    """Each position reads the mean of itself and those before it."""

    def __init__(self) -> None:
        super().__init__()
        self.into, self.out = nn.Linear(16, 16), nn.Linear(16, 16)

    def forward(self, x, seen):
        weight = seen.tril()
        mean = weight @ self.into(x) / weight.sum(-1, keepdim=True).clamp(min=1)
        return self.out(mean.tanh())


class Stage(nn.Module):
    """A block: mixing, then an MLP gated by a sine."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(16), nn.LayerNorm(16)])
        self.mixing = Mixing()
        self.left, self.right, self.down = nn.Linear(16, 24), nn.Linear(16, 24), nn.Linear(24, 16)

    def forward(self, x, seen):
        x = x + self.mixing(self.norms[0](x), seen)
        y = self.norms[1](x)
        return x + self.down(self.left(y) * self.right(y).sin())


class Weird(nn.Module):
    """No list of blocks, no cache, no positions, no word for its embeddings, no keywords."""

    def __init__(self, vocab: int) -> None:
        super().__init__()
        self.config = PreTrainedConfig(num_attention_heads=1, max_position_embeddings=64)
        self.table = nn.Embedding(vocab, 16)
        self.stage_0, self.stage_1, self.stage_2 = Stage(), Stage(), Stage()
        self.closing = nn.LayerNorm(16)
        self.readout = nn.Linear(16, vocab)

    def forward(self, input_ids, attention_mask=None):
        real = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        seen = real.float().unsqueeze(1).expand(-1, input_ids.shape[1], -1)
        x = self.table(input_ids)
        for stage in (self.stage_0, self.stage_1, self.stage_2):
            x = stage(x, seen)
        return SimpleNamespace(logits=self.readout(self.closing(x)))


ENDS = {"embed": "table", "blocks": "stage_{}", "unembed": "readout"}
MLP = {"w_gate": "right", "w_up": "left", "w_out": "down"}


def weird(**names):
    torch.manual_seed(0)
    tokenizer = tiny_tokenizer()
    model = Weird(len(tokenizer))
    return LanguageModel(model, tokenizer, name="weird", anatomy=AnatomyNames(**names))


def test_each_error_shows_what_was_found_and_what_to_name():
    with pytest.raises(UnsupportedAnatomy, match=r"embeddings: table \(\d+ × 16\).*embed="):
        weird()
    found = r"lists of modules: stage_0\.norms .*series: stage_\{\} \(3 × Stage\).*blocks="
    with pytest.raises(UnsupportedAnatomy, match=found):
        weird(embed="table")
    with pytest.raises(UnsupportedAnatomy, match=r"'stage_\{\}'"):
        weird(embed="table", blocks="stages_{}")
    lm = weird(**ENDS)
    shown = r"left 16→24, right 16→24, down 24→16; which of two is the gate.*AnatomyNames"
    with pytest.raises(UnsupportedAnatomy, match=shown):
        lm.values(0)
    with pytest.raises(UnsupportedAnatomy, match=r"w_out='down'.*w_gate and w_up"):
        weird(**ENDS, w_out="down")
    with pytest.raises(UnsupportedAnatomy, match="mixing"):
        weird(**ENDS, attention="mixin")


def test_what_was_named_and_what_was_found_work_together():
    lm = weird(**ENDS, **MLP)
    assert check_parity(lm) < 1e-5
    assert lm.anatomy.final_norm is lm.model.closing
    assert lm.anatomy[1].attention is lm.model.stage_1.mixing
    assert (lm.n_layers, lm.d_model, lm.d_mlp, lm.context) == (3, 16, 24, 64)
    batch = lm.batch(lm.encode(TEXTS))
    points = ("resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post", "mlp_post")
    captured = lm.capture(batch, [Site(2, point) for point in points])
    pre, attention, mid, mlp, post, coefficients = (captured[Site(2, p)] for p in points)
    torch.testing.assert_close(pre + attention, mid)
    torch.testing.assert_close(mid + mlp, post)
    raw = coefficients @ lm.values(2) + lm.w_out_bias(2)
    torch.testing.assert_close(raw, mlp, atol=1e-5, rtol=1e-4)


def test_it_generates_without_a_cache():
    lm = weird(**ENDS)
    (prompt,) = lm.encode([TEXTS[0]])
    ids = list(prompt)
    with torch.no_grad():
        for _ in range(5):
            ids.append(int(lm.model(torch.tensor([ids])).logits[0, -1].argmax()))
    greedy = generate(lm, TEXTS, Decoding(5))
    assert list(greedy.tokens[0]) == ids[len(prompt) :]
    assert generate(lm, TEXTS, Decoding(5), batch_tokens=1) == greedy
    sampled = Decoding(5, sample=True, samples=3)
    assert generate(lm, TEXTS, sampled, batch_tokens=1) == generate(lm, TEXTS, sampled)


def test_it_is_harvested_and_edited_like_any_other():
    lm = weird(**ENDS, **MLP)
    store = harvest(lm, TEXTS, ["1.resid_post"], pooling="last", out=None)
    assert store.rows(Site(1, "resid_post")).shape == (len(TEXTS), 16)
    seen = self_test(one("-1.mlp_out", Add(unit(16))), lm, TEXTS)
    assert seen.folded_max_difference < 1e-5
    assert seen.logit_change > 1e-2


def test_that_there_is_no_final_norm_can_be_said():
    lm = weird(**ENDS, final_norm="")
    assert isinstance(lm.anatomy.final_norm, nn.Identity)
    with pytest.raises(UnsupportedAnatomy, match="closing"):
        weird(**ENDS, final_norm="closings")


class Odd(nn.Module):
    """Runs on token ids, but has no chain of blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, 8)
        self.branches = nn.ModuleList([nn.Linear(8, 8), nn.Linear(8, 8)])

    def get_input_embeddings(self) -> nn.Module:
        return self.embed

    def forward(self, input_ids, use_cache=False):
        x = self.embed(input_ids)
        return sum(branch(x) for branch in self.branches)


def test_blocks_that_are_no_chain_are_not_taken_for_one():
    with pytest.raises(UnsupportedAnatomy, match=r"branches \(2 × Linear\).*AnatomyNames"):
        LanguageModel(Odd(), None)


def test_from_pretrained_takes_the_names_too(tmp_path):
    from tests.families import tiny_hf_model

    model, tokenizer = tiny_hf_model("gpt2")
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    names = AnatomyNames(blocks="transformer.h", mlp_out="mlp.dropout")
    lm = LanguageModel.from_pretrained(tmp_path, device="cpu", anatomy=names)
    assert lm.anatomy[0].mlp_added is lm.model.transformer.h[0].mlp.dropout
    with pytest.raises(UnsupportedAnatomy, match=r"transformer\.h"):
        LanguageModel.from_pretrained(tmp_path, anatomy=AnatomyNames(blocks="transformer.x"))
