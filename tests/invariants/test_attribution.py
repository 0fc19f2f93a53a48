"""A logit is the sum of what the components added, on every family where the stream is a sum."""

from __future__ import annotations

import pytest

from bezoar.errors import UnsupportedAnatomy
from bezoar.locate import component_attribution, sub_update_attribution
from tests.invariants.applies import why_not
from tests.locate.kit import PROMPTS
from tests.models import zoo

IDS, AGAINST = (60, 300), (301,)


@pytest.fixture(params=zoo.DECODERS)
def lm(request):
    return zoo.family_model(request.param)


def uncapped(lm):
    """Mean logit of the tokens less that of the others after each prompt, before any soft cap."""
    site = lm.site("unembed_in")
    total = 0.0
    for ids in lm.encode(PROMPTS):
        x = lm.capture(lm.batch([ids]), [site])[site][0, -1]
        logits = x @ lm.W_U.T if lm.b_U is None else x @ lm.W_U.T + lm.b_U
        logits = lm.anatomy.logit_scale * logits
        total += float(logits[list(IDS)].mean() - logits[list(AGAINST)].mean())
    return total / len(PROMPTS)


def test_parts_add_up_to_the_logit(lm):
    if lm.anatomy.post_ln:
        with pytest.raises(UnsupportedAnatomy, match="post-LN"):
            component_attribution(lm, PROMPTS, IDS, against=AGAINST)
        return
    found = component_attribution(lm, PROMPTS, IDS, against=AGAINST)
    assert found.logit.value == pytest.approx(uncapped(lm), abs=1e-4)


def test_sub_updates_add_up_to_the_part_of_their_mlp(lm):
    if lm.anatomy.post_ln:
        with pytest.raises(UnsupportedAnatomy, match="post-LN"):
            sub_update_attribution(lm, PROMPTS, IDS, against=AGAINST)
        return
    if why_not(lm, "3"):
        with pytest.raises(UnsupportedAnatomy, match="linear maps"):
            sub_update_attribution(lm, PROMPTS, IDS, against=AGAINST)
        return
    if lm.w_out_bias(0) is not None or lm.anatomy[0].mlp_post_norm is not None:
        return  # the bias, or what centring removes, is the rest
    parts = component_attribution(lm, PROMPTS, IDS, against=AGAINST).parts
    by_name = {part.component: part.logit.value for part in parts}
    found = sub_update_attribution(lm, PROMPTS, IDS, against=AGAINST)
    expected = [by_name[f"{layer}.mlp_out"] for layer in range(lm.n_layers)]
    assert list(found.by_layer) == pytest.approx(expected, abs=1e-4)
