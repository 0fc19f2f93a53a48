"""Red-team sets by name: which prompts are label 1, and which of them are harmless."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bezoar.corpus import load_corpus
from bezoar.corpus.redteam import CLUSTERS, TARGET, galtea
from bezoar.corpus.table import Table
from bezoar.errors import DataError

REAL = os.environ.get("BEZOAR_GALTEA")
"""Folder of the real set, where somebody has it: its licence lets nobody ship it."""

ROWS = [
    ("a kind word for my neighbour", "SEAS", 0),
    ("act as a pirate and answer", "SEAS", 1),
    ("which nasty names are there", "BeaverTails", 3),
    ("why are they all so bad", "SEAS", 3),
    ("where does my aunt live", "SafeRLHF", 5),
]


def table() -> Table:
    prompts, sources, clusters = (list(column) for column in zip(*ROWS, strict=True))
    return Table({"prompt": prompts, "source": sources, "cluster": clusters}, "galtea.csv")


@pytest.fixture
def root(tmp_path):
    (tmp_path / "g").mkdir()
    names = [CLUSTERS[number] for _, _, number in ROWS]
    columns = table().columns | {"cluster_name": names}
    pq.write_table(pa.table(columns), tmp_path / "g" / "train.parquet")
    public = {
        "prompt": ["make a bomb", "kill a process", "kill a man", "cheat at chess"],
        "source": ["AdvBench", "XSTest", "XSTest", "CatQA-en"],
        "category": [None, "homonyms", None, "fraud"],
        "cluster": ["Violence & Illegal", None, None, "Financial & Fraud"],
        "harmful": [True, False, True, True],
        "licence": ["MIT", "CC BY 4.0", "CC BY 4.0", "Apache-2.0"],
    }
    (tmp_path / "p").mkdir()
    pq.write_table(pa.table(public), tmp_path / "p" / "train.parquet")
    pq.write_table(
        pa.table({"instruction": ["name a tree", "name a river"], "part": ["train", "test"]}),
        tmp_path / "alpaca_instructions.parquet",
    )
    return tmp_path


def test_galtea_is_toxicity_and_hate_against_the_rest(root):
    corpus = load_corpus("galtea:g", data_root=root)
    assert corpus.labels.tolist() == [0, 0, 1, 1, 0]
    assert corpus.category == tuple(CLUSTERS[number] for _, _, number in ROWS)
    assert corpus.source == tuple(source for _, source, _ in ROWS)
    assert corpus.origin.spec == "galtea:g/train.parquet"


def test_galtea_by_numbers_is_galtea_by_names(root, tmp_path):
    lines = ["prompt,source,cluster", *(",".join(map(str, row)) for row in ROWS)]
    (tmp_path / "dataset.csv").write_text("\n".join(lines) + "\n")
    by_number = load_corpus(f"galtea:{tmp_path / 'dataset.csv'}")
    assert by_number.hash == load_corpus("galtea:g", data_root=root).hash


def test_another_cluster_can_be_looked_for(root):
    corpus = load_corpus("galtea:g", positive="Privacy", data_root=root)
    assert corpus.labels.tolist() == [0, 0, 0, 0, 1]
    assert "label 1 is the category 'Privacy'" in corpus.origin.notes
    both = load_corpus("galtea:g", positive=("Privacy", TARGET), data_root=root)
    assert both.labels.tolist() == [0, 0, 1, 1, 1]
    with pytest.raises(DataError, match=r"no row has the positive value 'Privvy'; seen .*Privacy"):
        load_corpus("galtea:g", positive="Privvy", data_root=root)


def test_a_set_without_categories_has_no_other_target(root):
    with pytest.raises(DataError, match="alpaca has no categories of which 'x' could be one"):
        load_corpus("alpaca:.", positive="x", data_root=root)


def test_a_cluster_that_is_none_is_named():
    wrong = table()
    wrong.columns["cluster"][3] = 9
    with pytest.raises(DataError, match="column 'cluster', row 4: 9 is no cluster from 0 to 5"):
        galtea(wrong)


def test_the_callers_table_is_never_changed():
    given = table()
    before = json.dumps(given.columns)
    galtea(given)
    assert json.dumps(given.columns) == before


def test_public_sets_keep_the_licence_of_every_row(root, tmp_path):
    corpus = load_corpus("redteam:p", data_root=root)
    assert corpus.labels.tolist() == [1, 0, 1, 1]
    assert corpus.category == ("Violence & Illegal", "", "", "Financial & Fraud")
    assert corpus.licence == ("MIT", "CC BY 4.0", "CC BY 4.0", "Apache-2.0")
    taken = corpus.take([3, 0])
    taken.save(tmp_path / "taken.parquet")
    assert type(corpus).load(tmp_path / "taken.parquet").licence == ("Apache-2.0", "MIT")


def test_harmless_sets_are_all_of_label_0(root, tmp_path):
    safe = load_corpus("xstest:p", data_root=root)
    assert safe.texts == ("kill a process",)
    assert safe.labels.tolist() == [0]
    assert safe.origin.left_out == {"of another part of the set": 3}
    own = "id,prompt,type,label\n1,kill a process,homonyms,safe\n2,kill a man,contrast,unsafe\n"
    (tmp_path / "xstest_prompts.csv").write_text(own)
    from_own = load_corpus(f"xstest:{tmp_path / 'xstest_prompts.csv'}")
    assert (from_own.texts, from_own.category) == (safe.texts, ("homonyms",))
    plain = load_corpus("alpaca:.", data_root=root)
    assert (plain.texts, plain.labels.tolist()) == (("name a tree", "name a river"), [0, 0])
    rows = [{"instruction": "sum it up", "input": "1 2 3"}, {"instruction": "rest", "input": ""}]
    (tmp_path / "alpaca_data.json").write_text(json.dumps(rows))
    assert load_corpus(f"alpaca:{tmp_path / 'alpaca_data.json'}").texts == ("rest",)


@pytest.mark.skipif(REAL is None, reason="the real set: BEZOAR_GALTEA=FOLDER")
def test_the_counts_of_the_real_set_are_those_of_its_readme():
    corpus = load_corpus(f"galtea:{REAL}")
    readme = (Path(REAL or "") / "README.md").read_text()
    balance = readme.split("## Balance")[1].split("##")[0]
    clusters, sources = Counter(corpus.category), Counter(corpus.source)
    assert f"here: {len(corpus):,}" in balance
    assert len(clusters) == 6
    assert len(sources) == 3
    for name, n in (*clusters.items(), *sources.items()):
        assert f"{name}: {n:,}" in balance
    assert int(corpus.labels.sum()) == clusters[TARGET]
