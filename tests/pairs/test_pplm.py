"""PPLM as a whole: what it writes without steering, in any company, and what it leaves behind."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from bezoar.errors import ConfigError, DataError, SiteError, SiteMismatch, UnsupportedAnatomy
from bezoar.locate import Direction, LinearProbe
from bezoar.models import Decoding, LanguageModel, Site, generate
from bezoar.pairs import PPLM, Pairs, pplm, pplm_pairs
from tests.families import FAMILIES
from tests.models import zoo
from tests.models.helpers import hook_count
from tests.pairs.pplm_kit import PROMPTS, direction, double, fresh

WINDOWS = ("Mistral", "Gemma 2", "Gemma 3")
HYBRIDS = ("Qwen3.5", "Qwen3-Next", "LFM2")
SHORT = PPLM(length=4, iterations=2)


def plain(lm, *, top_k=10, length=4, seed=0):
    return generate(lm, PROMPTS, Decoding(length, sample=True, top_k=top_k, seed=seed)).tokens


def test_the_defaults_are_table_6():
    printed = {
        "step_size": 0.4,
        "temperature": 1,
        "top_k": 10,
        "iterations": 50,
        "window": 0,
        "horizon": 1,
        "decay": False,
        "gamma": 1,
        "gm_scale": 0.95,
        "kl_scale": 0.1,
    }
    defaults = dataclasses.asdict(PPLM())
    assert {name: defaults[name] for name in printed} == printed


@pytest.mark.parametrize("still", [{"iterations": 0}, {"step_size": 0.0}, {"gm_scale": 0.0}])
@pytest.mark.parametrize("family", FAMILIES)
def test_without_a_push_the_text_is_the_models_own(family, still):
    lm = double(family)
    settings = dataclasses.replace(SHORT, **still)
    assert pplm(lm, PROMPTS, direction(lm), settings, seed=5).tokens == plain(lm, seed=5)
    greedy = dataclasses.replace(settings, top_k=1)
    assert (
        pplm(lm, PROMPTS, direction(lm), greedy).tokens == generate(lm, PROMPTS, Decoding(4)).tokens
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_no_batch_changes_a_text(family):
    lm = double(family)
    settings = dataclasses.replace(SHORT, step_size=2.0)
    together = pplm(lm, PROMPTS, direction(lm), settings)
    assert pplm(lm, PROMPTS, direction(lm), settings, batch_tokens=1) == together
    assert together.tokens != plain(lm)
    back = pplm(lm, PROMPTS[::-1], direction(lm), settings)
    assert back.tokens == together.tokens[::-1]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_text_that_ends_leaves_the_others_as_they_were(family):
    lm = fresh(family)
    lm.model.generation_config.eos_token_id = plain(lm)[0][1]
    still = pplm(lm, PROMPTS, direction(lm), dataclasses.replace(SHORT, step_size=0.0))
    assert still.tokens == plain(lm)
    assert len(still.tokens[0]) == 1
    assert max(len(row) for row in still.tokens) == 4
    settings = dataclasses.replace(SHORT, step_size=2.0)
    together = pplm(lm, PROMPTS, direction(lm), settings)
    assert pplm(lm, PROMPTS, direction(lm), settings, batch_tokens=1) == together


@pytest.mark.parametrize("name", zoo.DECODERS)
def test_every_family_with_plain_keys_and_values_is_steered_and_others_say_why(name):
    lm = zoo.family_model(name)
    settings = PPLM(length=3, iterations=1, step_size=0.0)
    if name in WINDOWS + HYBRIDS:
        why = "forgets tokens" if name in WINDOWS else "Layer"
        with pytest.raises(UnsupportedAnatomy, match=why):
            pplm(lm, PROMPTS, direction(lm), settings)
        return
    assert pplm(lm, PROMPTS, direction(lm), settings).tokens == plain(lm, length=3)
    strong = dataclasses.replace(settings, step_size=20.0)
    assert pplm(lm, PROMPTS, direction(lm), strong).tokens != plain(lm, length=3)


def test_a_window_that_no_text_outgrows_is_no_window():
    config = zoo.config_of("Mistral")
    config.sliding_window = 64
    torch.manual_seed(0)
    import transformers

    lm = LanguageModel(
        transformers.AutoModelForCausalLM.from_config(config).eval(), zoo.tiny_tokenizer()
    )
    still = dataclasses.replace(SHORT, step_size=0.0)
    assert pplm(lm, PROMPTS, direction(lm), still).tokens == plain(lm)


@pytest.mark.parametrize("stop", [None, KeyboardInterrupt, ValueError])
def test_it_leaves_the_model_as_it_was(stop):
    lm = fresh()
    names = [name for name, _ in lm.model.named_parameters()]
    wanted = {name: number % 3 > 0 for number, name in enumerate(names)}
    for name, parameter in lm.model.named_parameters():
        parameter.requires_grad_(wanted[name])
    before = {name: value.clone() for name, value in lm.model.state_dict().items()}
    calls = 0

    def interrupt(*_):
        nonlocal calls
        calls += 1
        if calls == 9:
            raise stop

    if stop is None:
        pplm(lm, PROMPTS, direction(lm), SHORT)
    else:
        handle = lm.anatomy.blocks[0].register_forward_hook(interrupt)
        with pytest.raises(stop):
            pplm(lm, PROMPTS, direction(lm), SHORT)
        handle.remove()
    assert {name: p.requires_grad for name, p in lm.model.named_parameters()} == wanted
    assert all(torch.equal(value, before[name]) for name, value in lm.model.state_dict().items())
    assert all(p.grad is None for p in lm.model.parameters())
    assert hook_count(lm.model) == 0


def test_a_fitted_probe_steers_with_its_calibrated_odds(gpt2):
    rng = np.random.default_rng(0)
    rows, labels = rng.normal(size=(80, gpt2.d_model)), np.arange(80) % 2
    rows[:, 0] += labels
    probe = LinearProbe(site="1.mlp_out").fit(rows, labels)
    assert len(pplm(gpt2, PROMPTS, probe, SHORT)) == len(PROMPTS)
    with pytest.raises(ConfigError, match="at which site"):
        pplm(gpt2, PROMPTS, LinearProbe().fit(rows, labels), SHORT)
    with pytest.raises(SiteMismatch, match=r"32 weights, 1\.mlp_post"):
        pplm(gpt2, PROMPTS, LinearProbe(site="1.mlp_post").fit(rows, labels), SHORT)
    with pytest.raises(SiteError):
        pplm(gpt2, PROMPTS, Direction.of(torch.ones(32), Site(9, "mlp_out")), SHORT)


def test_pairs_hold_the_greedy_and_the_steered_continuation_without_the_prompt(gpt2):
    settings = dataclasses.replace(SHORT, step_size=2.0)
    pairs = pplm_pairs(gpt2, PROMPTS, direction(gpt2), settings, seed=3)
    assert isinstance(pairs, Pairs)
    assert pairs.prompts == PROMPTS
    assert pairs.chosen == generate(gpt2, PROMPTS, Decoding(4)).text
    assert pairs.rejected == pplm(gpt2, PROMPTS, direction(gpt2), settings, seed=3).text
    assert pairs.provenance["settings"]["step_size"] == 2.0
    assert pairs.provenance["probe"]["site"] == "2.resid_post"


def test_a_prompt_that_leaves_no_room_is_named(gpt2):
    long = "you" + " you" * 117
    with pytest.raises(DataError, match=r"Prompt 1 has 120 tokens.*context of 128.*for 108 beside"):
        pplm(gpt2, ["you", long], direction(gpt2))
    room = "you" + " you" * (128 - 4 - 3)
    assert len(gpt2.encode([room])[0]) == 124
    pplm(gpt2, [room], direction(gpt2), SHORT)
    with pytest.raises(DataError, match="horizon of 2"):
        pplm(gpt2, [room], direction(gpt2), dataclasses.replace(SHORT, horizon=2))
    with pytest.raises(DataError, match="one string"):
        pplm(gpt2, "you", direction(gpt2))


def test_prompts_of_one_token_or_none_have_no_past(gpt2):
    written = pplm(gpt2, ["", "", "a"], direction(gpt2), SHORT)
    assert written.tokens[0] == written.tokens[1]
    assert len(pplm(gpt2, [], direction(gpt2), SHORT)) == 0


@pytest.mark.parametrize(
    "wrong",
    [{"top_k": -1}, {"gm_scale": 1.1}, {"gamma": np.inf}, {"length": 0}, {"step_size": np.nan}],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        PPLM(**wrong)


def test_decay_needs_a_window():
    with pytest.raises(ConfigError, match="window is 0"):
        PPLM(decay=True)
