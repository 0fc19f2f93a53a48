from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bezoar.errors import SiteError
from bezoar.models import GLOBAL_POINTS, POINTS, LanguageModel, Site, named_sites

SITES = st.builds(Site, st.integers(-40, 40), st.sampled_from(POINTS)) | st.builds(
    Site, st.none(), st.sampled_from(GLOBAL_POINTS)
)


@given(SITES)
def test_a_site_reads_back_what_it_writes(site):
    assert Site.parse(str(site)) == site


@pytest.mark.parametrize(
    ("alias", "site"),
    [
        ("blocks.3.hook_mlp_out", Site(3, "mlp_out")),
        ("blocks.0.hook_resid_pre", Site(0, "resid_pre")),
        ("blocks.11.mlp.hook_post", Site(11, "mlp_post")),
        ("blocks.2.mlp.hook_pre_linear", Site(2, "mlp_up")),
        ("blocks.2.attn.hook_z", Site(2, "z")),
        ("hook_embed", Site(None, "embed")),
    ],
)
def test_transformer_lens_names_are_aliases(alias, site):
    assert Site.parse(alias) == site


def test_sites_sort_in_the_order_of_execution():
    layers = [Site(layer, point) for layer in range(3) for point in POINTS]
    ordered = [Site(None, "embed"), *layers, Site(None, "unembed_in")]
    shuffled = random.Random(0).sample(ordered, len(ordered))
    assert sorted(shuffled) == ordered
    assert all(a < b for a, b in itertools.pairwise(ordered))


@pytest.mark.parametrize(
    ("text", "nearest"),
    [("3.mlp_uot", "mlp_out"), ("resid_pst", "resid_post"), ("blocks.1.hook_mlp_put", "mlp_out")],
)
def test_a_wrong_name_is_answered_with_the_nearest(text, nearest):
    with pytest.raises(SiteError, match=nearest):
        Site.parse(text)


@pytest.mark.parametrize("text", ["mlp_out", "3.embed"])
def test_a_layer_is_asked_for_where_one_is_needed_and_only_there(text):
    with pytest.raises(SiteError, match="layer"):
        Site.parse(text)


def test_sites_may_be_named_before_the_model_is_known(gpt2: LanguageModel) -> None:
    every = named_sites(gpt2, ["every.mlp_out"])
    assert every == gpt2.sites(["mlp_out"])
    middle = named_sites(gpt2, ["middle.resid_post"])
    assert middle == [Site(gpt2.n_layers // 2, "resid_post")]
    assert named_sites(gpt2, ["-1.mlp_out", "every.mlp_out"]) == every
    with pytest.raises(SiteError, match="mlp_uot"):
        named_sites(gpt2, ["middle.mlp_uot"])
