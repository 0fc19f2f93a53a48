"""What a run cannot do is said before, or where, it fails: models, sites, scorers."""

from __future__ import annotations

import numpy as np
import pytest

from bezoar.errors import EditError, ModelError, ScorerError, SiteError
from bezoar.models import LanguageModel
from bezoar.scoring import CachedScorer
from bezoar.studies.audit.fitting import Fitting
from tests.families import tiny_model


def test_a_model_path_that_leads_nowhere(tmp_path):
    with pytest.raises(ModelError, match=r"There is no folder .*nowhere"):
        LanguageModel.from_pretrained(str(tmp_path / "nowhere" / "model"))
    with pytest.raises(ModelError, match=r"holds no config\.json, so it is no Hugging Face model"):
        LanguageModel.from_pretrained(str(tmp_path))


@pytest.mark.parametrize(
    ("site", "said"),
    [
        ("99.resid_post", r"There is no layer 99: this model has \d+. Layers run from 0 to"),
        ("-99.resid_post", r"There is no layer -99"),
        ("0.resid_pots", r"There is no point 'resid_pots'. Did you mean 'resid_post'"),
        ("resid_post", r"needs a layer. Write '3.resid_post'"),
        ("9" * 5000 + ".mlp_out", r"is not a site. A site is written '3.mlp_out'"),
    ],
)
def test_a_site_out_of_range_names_the_range_or_the_nearest(site, said):
    with pytest.raises(SiteError, match=said):
        tiny_model("gpt2").site(site)


class Broken:
    """A scorer that answers what it is told to."""

    name, hash, attributes, threshold, lineage = "broken", "0", ("toxicity",), 0.5, "test"

    def __init__(self, answer):
        self.answer = answer

    def score(self, texts):
        if isinstance(self.answer, Exception):
            raise self.answer
        return {"toxicity": self.answer}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (np.array([0.1, np.nan, 0.2]), "NaN|nan|not finite|no number"),
        (np.array([0.1, 0.2]), r"2.*3|3.*2"),
        (np.array([0.1, 0.2, 7.0]), r"7|\[0, 1\]"),
        (RuntimeError("the server is down"), "the server is down"),
    ],
)
def test_a_scorer_that_fails_is_an_error_with_its_name(answer, said):
    with pytest.raises(ScorerError, match=said) as raised:
        CachedScorer(Broken(answer)).score(["a", "b", "c"])
    assert "broken" in str(raised.value)


def test_a_method_at_a_layer_that_is_not_there_ends_the_audit_and_one_that_fails_does_not():
    def failing(error):
        def fit():
            raise error

        return fit

    fitting = object.__new__(Fitting)
    with pytest.raises(SiteError, match="There is no layer 77"):
        fitting._or_failed(failing(SiteError("There is no layer 77.")))
    assert fitting._or_failed(failing(EditError("It does nothing."))).failed == "It does nothing."
