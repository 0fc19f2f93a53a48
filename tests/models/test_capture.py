from __future__ import annotations

import pytest
import torch

from bezoar.errors import DataError
from bezoar.models import Site
from bezoar.models.fingerprint import state_of
from tests.models import zoo
from tests.models.helpers import TEXTS, Calls, hook_count


@pytest.fixture
def batch(lm):
    return lm.batch(lm.encode(TEXTS))


def everything(lm):
    points = (*lm.anatomy.points(), "embed", "unembed_in")
    return lm.sites(points)


@pytest.mark.parametrize("family", zoo.FAMILIES)
def test_the_width_of_a_site_is_known_before_it_is_read(family):
    lm = zoo.family_model(family)
    ends = ("embed", "unembed_in") if lm.has_unembedding else ("embed",)
    captured = lm.capture(lm.batch([[1, 2]]), lm.sites((*lm.anatomy.points(), *ends)))
    widths = {site: value.shape[-1] for site, value in captured.items()}
    assert {site: lm.site_width(site) for site in captured} == widths


def test_residuals_are_hugging_faces_hidden_states(lm, batch):
    with torch.no_grad():
        states = lm.model(**lm.inputs(batch), output_hidden_states=True).hidden_states
    captured = lm.capture(batch, lm.sites(["resid_pre", "unembed_in"]))
    for layer in range(lm.n_layers):
        assert torch.equal(captured[Site(layer, "resid_pre")], states[layer])
    assert torch.equal(captured[Site(None, "unembed_in")], states[-1])


def test_a_capture_stops_after_its_last_site(lm, batch):
    with Calls(lm.anatomy.blocks[1]) as needed, Calls(lm.anatomy.blocks[2]) as unneeded:
        lm.capture(batch, ["1.mlp_post", "0.resid_post"])
        assert (needed.count, unneeded.count) == (1, 0)
        lm.capture(batch, ["1.mlp_post"], stop=False)
        assert (needed.count, unneeded.count) == (2, 1)


@pytest.mark.parametrize("stop", [True, False])
def test_a_capture_computes_no_logits(lm, batch, stop):
    seen = []
    handle = lm.anatomy.unembed.register_forward_hook(lambda *_: seen.append(1))
    try:
        lm.capture(batch, lm.sites(["resid_post"]), stop=stop)
        lm.run(batch)
        lm.capture(batch, ["unembed_in"])  # read at its entrance, and left there
    finally:
        handle.remove()
    assert seen == []


def test_run_stops_where_it_is_told(lm, batch):
    with Calls(lm.anatomy.blocks[0]) as first, Calls(lm.anatomy.blocks[2]) as last:
        lm.run(batch, stop_at="1.attn_out")
        lm.run(batch)
    assert (first.count, last.count) == (2, 1)


def test_sites_together_are_sites_alone(lm, batch):
    sites = everything(lm)
    together = lm.capture(batch, sites)
    assert list(together) == sites
    for site in sites:
        assert torch.equal(lm.capture(batch, [site])[site], together[site]), site


def test_reduce_sees_every_value_and_only_its_result_is_kept(lm, batch):
    sites = lm.sites(["resid_post", "mlp_post"])
    plain = lm.capture(batch, sites)
    reduced = lm.capture(batch, sites, reduce=lambda site, value: value.amax(1))
    for site in sites:
        assert torch.equal(reduced[site], plain[site].amax(1))


def test_a_capture_sees_an_edit_that_was_hooked_before_it(lm, batch):
    point = lm.anatomy.hook_point(Site(1, "resid_post"))
    plain = lm.capture(batch, ["1.resid_post"])[Site(1, "resid_post")]
    handle = point.module.register_forward_hook(
        lambda _, __, out: out + 1 if isinstance(out, torch.Tensor) else (out[0] + 1, *out[1:])
    )
    try:
        edited = lm.capture(batch, ["1.resid_post"])[Site(1, "resid_post")]
    finally:
        handle.remove()
    assert torch.equal(edited, plain + 1)


def test_hooks_are_removed_when_a_capture_fails(lm, batch):
    before, logits = hook_count(lm.model), lm.logits(batch)

    def fail(site, value):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        lm.capture(batch, everything(lm), reduce=fail)
    assert hook_count(lm.model) == before
    assert torch.equal(lm.logits(batch), logits)


def test_captures_carry_no_gradient(lm, batch):
    assert not any(value.requires_grad for value in lm.capture(batch, everything(lm)).values())


def test_unembedding_what_was_captured_gives_the_logits(lm, batch):
    captured = lm.capture(batch, ["unembed_in", "-1.resid_post"])
    raw = captured[Site(lm.n_layers - 1, "resid_post")]
    logits = lm.logits(batch)
    torch.testing.assert_close(lm.unembed(captured[Site(None, "unembed_in")]), logits)
    torch.testing.assert_close(lm.unembed(lm.final_norm(raw)), logits)


def test_logits_processors_apply_at_every_position(lm, batch, monkeypatch):
    plain = lm.logits(batch)
    monkeypatch.setattr(lm, "logits_processors", [lambda ids, x: x + 1, lambda ids, x: x * 2])
    torch.testing.assert_close(lm.logits(batch), (plain + 1) * 2)


def test_texts_that_do_not_fit_are_refused_with_what_to_do(lm):
    with pytest.raises(DataError, match=r"129 tokens.*max_tokens"):
        lm.batch([[1] * 129])
    with pytest.raises(DataError, match="row 1 has no tokens"):
        lm.batch([[1], []])


def test_the_fingerprint_follows_the_weights(lm):
    before = lm.fingerprint
    bias = next(iter(lm.anatomy.final_norm.parameters()))
    with torch.no_grad():
        old = bias.clone()
        bias.add_(1)
        assert lm.fingerprint != before
        bias.copy_(old)
    assert lm.fingerprint == before


def test_the_fingerprint_follows_what_is_written_past_pytorchs_count(lm):
    """As adapters are merged: through ``.data``, no version changes."""
    for weight in (lm.anatomy[1].part("w_out").weight, lm.anatomy.embed.weight):
        before, version = lm.fingerprint, weight._version
        weight.data.mul_(2)
        assert weight._version == version
        assert lm.fingerprint != before
        weight.data.div_(2)
        assert lm.fingerprint == before


def test_every_column_of_a_large_matrix_is_looked_at():
    weight = torch.nn.Parameter(torch.zeros(4096, 64))
    model = torch.nn.Module()
    model.weight = weight
    before = state_of(model)
    for column in range(64):
        weight.data[:, column] = 1
        assert state_of(model) != before
        weight.data[:, column] = 0
    assert state_of(model) == before
