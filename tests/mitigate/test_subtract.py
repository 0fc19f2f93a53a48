"""Subtract and project: what they do, and where they may."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from bezoar.errors import ConfigError, EditError, NotFoldable, SiteError, SiteMismatch
from bezoar.locate import Direction
from bezoar.mitigate import FitInputs, ProjectOut, Subtract
from bezoar.mitigate.directed import check_source
from bezoar.models import Site
from tests.edits.kit import batch, logits, noise
from tests.mitigate.kit import inputs, last_post

SOURCES = ("probe", "value", "svd", "mean_difference")


def shift(lm, edit):
    """The constant that an edit adds to the last residual."""
    b, site = batch(lm), last_post(lm)
    clean = lm.capture(b, [site])[site]
    with edit.applied_to(lm):
        moved = lm.capture(b, [site])[site] - clean
    moved = moved[b.mask]
    torch.testing.assert_close(moved, moved[:1].expand_as(moved), atol=1e-4, rtol=1e-4)
    return moved[0]


@pytest.mark.parametrize("source", SOURCES)
def test_alpha_is_the_length_of_the_shift_for_every_direction(lm, source):
    edit = Subtract(source, alpha=2.5).fit(lm, inputs(lm))
    assert float(shift(lm, edit).norm()) == pytest.approx(2.5, rel=1e-3)


def test_it_points_away_from_the_direction(lm):
    given = inputs(lm)
    vectors = {
        "probe": given.probe.vector,
        "mean_difference": given.mean_difference.vector,
        "svd": given.svd.basis[1],
        "value": torch.nn.functional.normalize(given.values.vectors(lm)[1], dim=0),
    }
    for source, w in vectors.items():
        edit = Subtract(source, alpha=1.0, rank=1).fit(lm, given)
        torch.testing.assert_close(shift(lm, edit), -w, atol=1e-4, rtol=1e-3)


def test_paper_and_code_take_the_raw_vectors_at_the_scales_of_the_reference(lm):
    given = inputs(lm)
    expected = {
        "probe": 50 * given.probe.raw,
        "value": 20 * given.values.vectors(lm)[0],
        "svd": 100 * given.svd.basis[0],
    }
    for source, w in expected.items():
        for mode in ("paper", "code"):
            op = Subtract(source, mode=mode).fit(lm, given).ops[0].op
            torch.testing.assert_close(op.vector, -w, rtol=1e-5, atol=1e-5)
            assert Subtract(source, mode=mode, alpha=1.0).fit(lm, given).ops[0].op.vector.norm() < (
                op.vector.norm()
            )


def test_a_direction_of_another_site_is_refused_except_in_code_mode(lm):
    for site in (
        Site(0, "resid_post"),
        Site(lm.n_layers - 1, "resid_pre"),
        Site(None, "unembed_in"),
    ):
        given = inputs(lm, site)
        for method in (Subtract(), Subtract(mode="paper"), Subtract("svd")):
            with pytest.raises(SiteMismatch, match="fitted at"):
                method.fit(lm, given)
        Subtract(mode="code").fit(lm, given)
        Subtract("value").fit(lm, given)  # read off the weights: fitted at no site
    with pytest.raises(SiteMismatch):
        Subtract(layers=(0, -1)).fit(lm, inputs(lm))


def test_sites_that_shift_the_same_state_are_one_place(lm):
    last = lm.n_layers - 1
    for fitted in (Site(last, "resid_post"), Site(last, "mlp_out"), Site(-1, "mlp_raw")):
        edits = [
            Subtract(point=point, alpha=1.0).fit(lm, inputs(lm, fitted))
            for point in ("mlp_out", "resid_post", "mlp_raw")
        ]
        with edits[0].applied_to(lm):
            expected = logits(lm)
        for edit in edits[1:]:
            with edit.applied_to(lm):
                torch.testing.assert_close(logits(lm), expected, atol=1e-5, rtol=1e-5)
    Subtract(layers=(0,)).fit(lm, inputs(lm, Site(1, "resid_pre")))


def test_at_the_unembedding_a_direction_of_the_unembedding_is_wanted(lm):
    site = Site(None, "unembed_in")
    edit = Subtract(point="unembed_in", alpha=2.0).fit(lm, inputs(lm, site))
    before = logits(lm)
    with edit.applied_to(lm):
        expected = before - 2.0 * lm.W_U.detach() @ inputs(lm).probe.vector
        torch.testing.assert_close(logits(lm), expected, atol=1e-4, rtol=1e-4)
    with pytest.raises(SiteMismatch):
        Subtract(point="unembed_in").fit(lm, inputs(lm))


def test_layer_sets_act_once_at_each_layer(lm):
    given = inputs(lm)
    edit = Subtract(layers=(0, 1, -1, -1), mode="code").fit(lm, given)
    assert [str(at.site) for at in edit.ops] == ["0.mlp_out", "1.mlp_out", "2.mlp_out"]


def test_missing_inputs_and_wrong_widths_are_said(lm):
    with pytest.raises(ConfigError, match="needs 'values'"):
        Subtract("value").fit(lm, FitInputs(probe=inputs(lm).probe))
    with pytest.raises(ConfigError, match="'prob' is not known"):
        check_source("prob")
    with pytest.raises(ConfigError, match="number 99"):
        Subtract("svd", rank=99).fit(lm, inputs(lm))
    with pytest.raises(SiteError):
        Subtract(layers=(9,)).fit(lm, inputs(lm))
    wide = Direction.of(noise(64), last_post(lm))
    with pytest.raises(EditError, match="width 64"):
        Subtract().fit(lm, dataclasses.replace(inputs(lm), probe=wide))


def test_requires_names_the_input(lm):
    given = inputs(lm)
    for source in SOURCES:
        for cls in (Subtract, ProjectOut):
            method = cls(direction=source)
            (name,) = method.requires
            method.fit(lm, FitInputs(**{name: getattr(given, name)}))


def test_provenance_tells_method_strength_direction_and_model(lm):
    edit = Subtract("svd", alpha=3.0, rank=1).fit(lm, inputs(lm))
    about = edit.provenance
    assert about["method"] == "subtract:direction=svd,rank=1"
    assert about["strength"] == 3.0
    assert about["trained_on"] == "abc"
    assert about["model"] == lm.fingerprint


@pytest.mark.parametrize("source", SOURCES)
def test_a_projection_empties_the_direction_of_what_mlps_write(lm, source):
    given = inputs(lm)
    edit = ProjectOut(source, dims=3 if source == "svd" else 1).fit(lm, given)
    assert len(edit.ops) == lm.n_layers
    basis = edit.ops[0].op.basis
    b, sites = batch(lm), lm.sites(["mlp_out"])
    for form in (edit, edit.fold(lm)):
        with form.applied_to(lm):
            wrote = lm.capture(b, sites)
        assert all((value @ basis.T).abs().max() < 1e-5 for value in wrote.values())


def test_half_a_projection_removes_half(lm):
    given = inputs(lm)
    site = Site(lm.n_layers - 1, "mlp_out")
    b, w = batch(lm), given.probe.vector
    clean = lm.capture(b, [site])[site] @ w
    with ProjectOut(fraction=0.5, layers=(-1,)).fit(lm, given).applied_to(lm):
        torch.testing.assert_close(lm.capture(b, [site])[site] @ w, clean / 2, atol=1e-5, rtol=1e-4)


def test_layers_after_the_direction_are_left_out_or_refused(lm):
    given = inputs(lm, Site(1, "resid_post"))
    assert [at.site.layer for at in ProjectOut().fit(lm, given).ops] == [0, 1]
    with pytest.raises(SiteMismatch, match="before 2"):
        ProjectOut(layers=(2,)).fit(lm, given)
    ProjectOut(layers=(2,), mode="code").fit(lm, given)
    with pytest.raises(SiteMismatch):
        ProjectOut(layers=(0,), point="resid_post").fit(lm, given)
    stream = ProjectOut(layers=(1,), point="resid_post").fit(lm, given)
    site = Site(1, "resid_post")
    with stream.applied_to(lm):
        assert (lm.capture(batch(lm), [site])[site] @ given.probe.vector).abs().max() < 1e-5
    with pytest.raises(NotFoldable):
        stream.fold(lm)


def test_fractions_and_dimensions_are_checked():
    for options in ({"fraction": 1.5}, {"fraction": -0.1}, {"dims": 0}, {"dims": 2}):
        with pytest.raises(ConfigError):
            ProjectOut(**options)
