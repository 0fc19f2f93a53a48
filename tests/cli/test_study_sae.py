"""`bezoar study sae` on what cannot be studied: one paragraph, the status of its kind, no run."""

from __future__ import annotations

import csv
import dataclasses
import re
import shutil

import pytest

from tests.families import tiny_model
from tests.mitigate.remedies import texts_and_labels
from tests.sae.material import random_sae
from tests.studies.tiny import save_tiny_model

SMALL = ["--quick", "--quiet", "--threads", "1", "--set", "sae.tokens=3000"]


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    """A model, its texts, and folders of autoencoders."""
    root = tmp_path_factory.mktemp("there")
    save_tiny_model(root / "model")
    lm = tiny_model("gpt2")
    with (root / "data.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["text", "label", "kind"])
        for i, (text, label) in enumerate(zip(*texts_and_labels(120), strict=True)):
            table.writerow([f"{text} number {i}", label, "rare" if i == 0 else "common"])
    about = {"site": "1.resid_post", "fingerprint": lm.fingerprint, "model": "tiny"}
    for name, d, more in (
        ("good", 32, {}),
        ("wide", 48, {}),
        ("far", 32, {"site": "9.resid_post"}),
        ("other", 32, {"fingerprint": "0" * 64}),
    ):
        sae = random_sae("topk:k=4", d=d, n=96)
        sae.info = dataclasses.replace(sae.info, **{**about, **more})
        sae.save(root / name)
    shutil.copytree(root / "good", root / "cut")
    weights = root / "cut" / "sae_weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    return root


@pytest.fixture
def refused(bezoar, there, tmp_path):
    """Status and message of a study, which may be one paragraph and its hint alone."""

    def study(*more, model="model", data="data.csv"):
        asked = ["study", "sae", there / model, "--data", there / data, "--out", tmp_path / "run"]
        status, _, err = bezoar(*asked, *SMALL, *more)
        said = [line for line in err.splitlines() if line]
        assert 1 <= len(said) <= 2
        assert "Traceback" not in err
        return status, " ".join(said)

    return study


@pytest.mark.parametrize(
    ("given", "more", "status", "says"),
    [
        ("wide", [], 9, "reads 48 dimensions, and 1.resid_post of .* has 32"),
        ("far", [], 4, "sae.path=.*There is no layer 9"),
        ("other", [], 9, "other weights than"),
        ("good", ["--sites", "0.resid_post"], 9, "reads 1.resid_post, and sae.sites asks for 0"),
        ("cut", [], 5, "does not have the hash"),
        ("nothing", [], 5, "no folder of an autoencoder"),
    ],
)
def test_an_autoencoder_that_does_not_fit(refused, there, tmp_path, given, more, status, says):
    found, said = refused("--set", f"sae.path={there / given}", *more)
    assert found == status
    assert re.search(says, said)
    assert not (tmp_path / "run" / "explore").exists()  # said before any work


def test_more_latents_than_tokens(refused):
    status, said = refused("--set", "sae.expansion=500")
    assert status == 9
    assert re.search(r"has 16,000 latents, and 1\.resid_post has [\d,]+ rows", said)


def test_a_category_that_has_no_rows_after_the_split(refused):
    kind = ["--label", "kind", "--set", "data.positive=rare", "--set", "data.category=kind"]
    status, said = refused(*kind)
    assert status == 3
    assert re.search("The report part of .* would have no text of label 1", said)
