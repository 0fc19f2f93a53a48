from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from bezoar.errors import ConfigError, DataError, SAEError
from bezoar.evaluate.contest import contest
from bezoar.evaluate.contest_metrics import METRICS, judged
from bezoar.evaluate.contest_readers import Reader
from bezoar.evaluate.contest_results import Contest
from bezoar.evaluate.contest_tables import SparseTable, table_of
from bezoar.evaluate.contest_untrained import untrained
from bezoar.evaluate.contest_ways import EveryFeature, FewFeatures, MeanDifference, pursued
from bezoar.locate import MeanDifferenceProbe
from bezoar.runs import load_result, save_result
from bezoar.sae import ReLU
from bezoar.stats import (
    Interval,
    auroc,
    average_precision,
    balanced_accuracy,
    calibration_error,
    tpr_at_fpr,
)
from tests.evaluate.contests import LATENT, QUICK, TRAIN, N, labels_of, latents, noise, run


@pytest.fixture(scope="module")
def planted():
    """The label is in one latent, and nowhere in the states."""
    y = labels_of()
    return run(latents(y, strength=0.9), noise(), y)


def test_the_label_in_one_latent_is_found_and_wins(planted):
    assert planted.winner == "sae"
    assert planted.loser == "dense"
    assert planted.settled
    one = planted.row("latents: k=1")
    assert one.features == (LATENT,)
    assert one.auroc.low > 0.85
    assert planted.fewest["sae"] == 1
    assert "SAE latents win" in planted.verdict


def test_the_label_in_the_states_loses_it_for_the_latents():
    y = labels_of()
    states = noise()
    states[:, 0] += 2 * y
    found = run(latents(labels_of(seed=5)), states, y)
    assert (found.winner, found.loser) == ("dense", "sae")
    assert found.differences[0].interval.high < 0
    assert "SAE latents lose" in found.verdict


def test_shuffled_labels_settle_nothing():
    """All readers at one half: the null of the whole machinery, its choices included."""
    y = labels_of()
    rng = np.random.default_rng(3)
    values = []
    for seed in range(6):
        found = run(latents(rng.permutation(y)), noise(seed=seed + 10), y, seed=seed)
        values += [row.auroc.value for row in found.rows]
    assert np.mean(values) == pytest.approx(0.5, abs=0.04)


def test_no_winner_is_named_where_the_interval_holds_zero():
    y = labels_of()
    z = latents(y, strength=0.8)
    found = run(z, z.toarray(), y)
    assert found.differences[0].interval.low <= 0 <= found.differences[0].interval.high
    assert not found.settled
    assert (found.winner, found.loser) == ("", "")
    assert found.verdict.startswith("Not settled")


def test_length_and_source_are_exposed_as_shortcuts():
    y = labels_of()
    texts = [f"{'word ' * (3 + 5 * int(v))}{i}" for i, v in enumerate(y)]
    sources = [("forum" if v else "news") for v in y]
    found = run(latents(labels_of(seed=5)), noise(), y, texts=texts, sources=sources)
    for name in ("length", "source"):
        assert found.row(name).auroc.value > 0.99
    assert found.row("majority").auroc.value == 0.5
    assert "SAE latents loses to a bag of words" in found.verdict


def test_one_row_of_each_kind_is_chosen_by_cross_validation_alone(planted):
    kinds = [(row.family, row.kind) for row in planted.rows if row.chosen]
    assert len(kinds) == len(set(kinds)) == len({(r.family, r.kind) for r in planted.rows})
    y = labels_of()
    weak, strong = latents(y, strength=0.3), latents(y, strength=0.9, seed=4)
    # On the report texts the weak one is made perfect: who peeked would choose it.
    weak = weak.toarray()
    weak[TRAIN:, LATENT] = 9 * y[TRAIN:]
    readers = [
        Reader("weak", "sae", lambda: weak),
        Reader("strong", "sae", lambda: strong),
        Reader("states", "dense", noise),
    ]
    found = contest(
        readers, y, None, np.arange(TRAIN), np.arange(TRAIN, N), sizes=QUICK, curves=False
    )
    assert found.best("sae").reader == "strong"
    assert found.differences[0].a.startswith("strong")


def test_the_report_texts_change_no_choice(planted):
    y = labels_of()
    rows = latents(y, strength=0.9).toarray()
    states = noise()
    states[TRAIN:] = states[TRAIN:] * 100 + 5
    rows[TRAIN:] *= 50
    found = run(rows, states, y)
    for a, b in zip(planted.rows, found.rows, strict=True):
        same = ("label", "penalty", "features", "chosen", "n_features")
        assert [getattr(a, name) for name in same] == [getattr(b, name) for name in same]
        assert a.cv_auroc == pytest.approx(b.cv_auroc)


def test_curves_learn_and_suffer_and_leave_sources_out():
    y = labels_of()
    sources = [f"s{k}" for k in np.random.default_rng(8).integers(0, 2, N)]
    states = noise()
    states[:, :6] += 0.5 * y[:, None]
    found = run(latents(y, strength=0.9), states, y, sources=sources, curves=True)
    learnt = {(p.reader, p.labels): p.auroc for p in found.efficiency}
    full = found.train_n
    assert learnt["states: all", full] > learnt["states: all", 60] + 0.01
    wrong = {(p.reader, p.noise): p.auroc for p in found.noise}
    assert wrong["states: all", 0.2] < wrong["states: all", 0.0]
    assert wrong["latents: k=1", 0.2] == pytest.approx(wrong["latents: k=1", 0.0], abs=0.03)
    assert all(p.low <= p.auroc <= p.high for p in (*found.efficiency, *found.noise))
    left = [row for row in found.leave_one_out if row.reader == "latents: all"]
    assert [row.source for row in left] == ["s0", "s1"]
    assert all(row.left_out.low > 0.7 for row in left)


def test_a_source_of_one_class_has_no_auroc():
    y = labels_of()
    sources = ["mixed"] * N
    for i in np.flatnonzero(y == 1)[::5]:
        sources[i] = "only ones"
    found = run(latents(y, strength=0.9), noise(), y, sources=sources, curves=True)
    only = [row for row in found.leave_one_out if row.source == "only ones"]
    assert only
    assert all(row.auroc is None and row.left_out is None for row in only)


def test_balance_is_of_the_training_texts_and_calibration_is_of_all():
    y = labels_of(share=0.2)
    rows = latents(y, strength=0.8)
    some = run(rows, noise(), y, balance="subsample")
    every = run(rows, noise(), y, balance="none")
    assert some.train_positives * 2 == some.train_n < every.train_n == TRAIN
    assert some.report_n == every.report_n == N - TRAIN
    for found in (some, every):
        best = found.row("latents: k=1")
        assert best.calibration_error.low < 3 * best.calibrated + 0.02


def test_results_are_the_same_twice_and_from_disk(planted, tmp_path):
    y = labels_of()
    again = run(latents(y, strength=0.9), noise(), y)
    assert again == planted
    save_result(tmp_path / "contest.json", planted)
    assert load_result(tmp_path / "contest.json", Contest) == planted


def test_holm_is_over_all_differences_of_a_metric(planted):
    of_auroc = [d for d in planted.differences if d.metric == "auroc"]
    least = min(of_auroc, key=lambda d: d.p)
    assert least.holm_p == pytest.approx(min(1.0, least.p * len(of_auroc)))
    assert all(d.holm_p >= d.p for d in planted.differences)


def told(found):
    """Every interval of a contest by what it is of."""
    rows = {row.label: row.auroc for row in found.rows}
    rows |= {f"{row.label} TPR": row.tpr_at_1 for row in found.rows}
    return rows | {(d.a, d.b, d.metric): d.interval for d in found.differences}


def test_repeats_of_a_report_text_make_no_interval_narrower():
    """Each five times: grouped they are one draw, else five, and √5 too much is promised."""
    y = labels_of()
    states = noise()
    states[:, 0] += 0.8 * y
    rows = latents(y, strength=0.5).toarray()
    again = np.concatenate([np.arange(TRAIN), np.repeat(np.arange(TRAIN, N), 5)])
    once = told(run(rows, states, y))
    given = (rows[again], states[again], y[again])
    grouped, not_grouped = (told(run(*given, groups=groups)) for groups in (again.tolist(), None))
    for name, interval in once.items():
        width = interval.high - interval.low
        assert grouped[name].value == pytest.approx(interval.value, abs=1e-3), name
        assert grouped[name].high - grouped[name].low == pytest.approx(width, rel=0.02, abs=1e-3), (
            name
        )
    widths = [(one.high - one.low, not_grouped[name]) for name, one in once.items()]
    assert np.median([(n.high - n.low) / w for w, n in widths if w]) < 0.6


def test_a_family_of_training_texts_is_held_out_whole():
    """Two texts each, the label drawn by family: who sees its twin knows the label by heart."""
    family = np.arange(N) // 2
    y = labels_of(N // 2)[family]
    rng = np.random.default_rng(0)
    states = np.repeat(rng.standard_normal((N // 2, 150)).astype(np.float32), 2, axis=0)
    z = latents(labels_of(seed=5))
    whole, torn = (run(z, states, y, groups=g, balance="none") for g in (family.tolist(), None))
    assert torn.row("states: all").cv_auroc > 0.65
    assert whole.row("states: all").cv_auroc < 0.58


def test_labels_of_a_source_that_is_left_out_change_nothing():
    """Not the penalty, not the few features: neither saw them."""
    y = labels_of()
    source = np.random.default_rng(8).integers(0, 2, N)
    names = [f"s{k}" for k in source]
    states = noise()
    states[:, :6] += 0.5 * y[:, None]
    other = y.copy()
    turned = (source == 1) & (np.arange(N) < TRAIN)
    other[turned] = 1 - y[turned]
    first, second = (
        run(latents(y, strength=0.9), states, told, sources=names, curves=True, balance="none")
        for told in (y, other)
    )
    rows = [
        {(row.reader, row.source): row for row in found.leave_one_out} for found in (first, second)
    ]
    both = [key for key in rows[0] if key in rows[1]]
    assert ("states: all", "s1") in both
    assert ("latents: all", "s1") in both
    for reader, at in both:
        same = rows[0][reader, at].left_out == rows[1][reader, at].left_out
        assert same == (at == "s1"), (reader, at)


def test_training_is_worth_what_the_same_latents_lack_untrained():
    y = labels_of()
    rows, weaker = latents(y, strength=0.9), latents(y, strength=0.4, seed=6)
    asked = []

    def drawn(of, rows):
        asked.append(of.name)
        return Reader(f"{of.name} untrained", "untrained", lambda: rows, of.site, of.pooling)

    found = run(rows, noise(), y, untrained=lambda reader: drawn(reader, weaker))
    assert asked == ["latents"]
    best = found.best("sae")
    gap = found.training
    assert (gap.a, gap.b) == (best.label, f"latents untrained: {best.kind}")
    assert gap is found.differences[1]
    assert gap.interval.low > 0
    assert gap.interval.value == pytest.approx(best.auroc.value - found.row(gap.b).auroc.value)
    assert "Training the dictionary helps: +" in found.verdict
    assert found.row("latents untrained: all").family == "untrained"
    same = run(rows, noise(), y, untrained=lambda reader: drawn(reader, rows))
    assert same.training.interval == Interval(0.0, 0.0, 0.0)
    assert "Whether training the dictionary helps is not settled" in same.verdict
    assert run(rows, noise(), y).training is None


# Parts


def test_an_untrained_dictionary_is_random_unit_directions_as_few_of_them_active():
    sae = ReLU(32, 96)
    sample = torch.randn(500, 32) + 5
    made = untrained(sae, sample, active=6.6, seed=1)
    assert made.W_dec.norm(dim=1).tolist() == pytest.approx([1.0] * 96, abs=1e-5)
    assert torch.equal(made.W_enc, made.W_dec.T)
    assert ((made.encode(sample) > 0).sum(1) == 7).all()
    assert float((made.b_dec - 5).abs().max()) < 0.3
    cosines = (made.W_dec @ made.W_dec.T).fill_diagonal_(0)
    assert float(cosines.abs().max()) < 0.85
    with pytest.raises(SAEError, match="Rows of 31 dimensions"):
        untrained(sae, sample[:, :31], active=6)


def test_metrics_are_those_of_stats_in_every_resample():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 90)
    z = np.round(rng.standard_normal(90) + y, 1)  # with ties
    found = judged(z, y, 0.3, resamples=50)
    p = 1 / (1 + np.exp(-z))
    hit = ((z >= 0.3) & (y == 1)).sum()
    f1 = 2 * hit / ((z >= 0.3).sum() + y.sum())
    expected = (
        auroc(z, y),
        average_precision(z, y),
        f1,
        balanced_accuracy(z, y, 0.3),
        tpr_at_fpr(z, y, 0.01),
        calibration_error(p, y),
    )
    assert [found.values[name] for name in METRICS] == pytest.approx(expected)
    doubled = judged(
        np.repeat(z, 2), np.repeat(y, 2), 0.3, np.repeat(np.arange(90), 2), resamples=50
    )
    assert doubled.samples == pytest.approx(found.samples)


def test_a_sparse_table_gives_the_weights_of_scikit_learn():
    y = labels_of(200)
    x = latents(y, strength=0.7)
    table = table_of(x, np.arange(200), weighed=True)
    assert isinstance(table, SparseTable)
    w, b = table.fit(np.arange(200), y[:, None], np.array([0.01]), final=True)
    known = LogisticRegression(C=1 / (200 * 0.01), tol=1e-8, max_iter=5000).fit(x, y)
    assert w[:, 0] == pytest.approx(known.coef_[0], abs=2e-3)
    assert b[0] == pytest.approx(known.intercept_[0], abs=2e-3)


def test_sparse_and_dense_tables_agree(monkeypatch):
    """Wide latents stay sparse, uncentred: the intercept makes up for it."""
    y = labels_of(300)
    x = latents(y, strength=0.7)
    dense = table_of(x, np.arange(200))
    monkeypatch.setattr("bezoar.evaluate.contest_tables._WIDEST", 3)
    wide = table_of(x, np.arange(200))
    assert isinstance(wide, SparseTable)
    test, penalty = np.arange(200, 300), np.array([0.03])
    a, b = (
        EveryFeature("all", table).decide(np.arange(200), y[:200, None], penalty, test, final=True)
        for table in (dense, wide)
    )
    assert a == pytest.approx(b, abs=5e-3)
    assert pursued(wide.take(np.arange(200)), y[:200], 3) == pursued(
        dense.take(np.arange(200)), y[:200], 3
    )


def test_few_texts_are_fitted_in_their_span_with_the_same_decisions():
    y = labels_of(300)
    x = noise(300, d=80)
    table = table_of(x, np.arange(300))
    few = np.arange(30)
    w, b = table.fit(few, y[few, None], np.array([0.1, 0.01]), final=True)
    rows = table.take(few).astype(np.float64)
    for column, penalty in enumerate((0.1, 0.01)):
        known = LogisticRegression(C=1 / (30 * penalty), tol=1e-9, max_iter=5000)
        known.fit(rows, y[few])
        assert w[:, column] == pytest.approx(known.coef_[0], abs=1e-3)
        assert b[column] == pytest.approx(known.intercept_[0], abs=1e-3)


def test_pursuit_takes_no_feature_twice_and_no_copy():
    y = labels_of(400)
    rng = np.random.default_rng(1)
    first = y + 0.5 * rng.standard_normal(400)
    second = y + 1.5 * rng.standard_normal(400)
    x = np.column_stack([rng.standard_normal(400), first, first + 1e-7, second])
    x = ((x - x.mean(0)) / x.std(0)).astype(np.float32)
    found = pursued(x, y, 4)
    assert sorted(found) == [0, 1, 2, 3]
    assert found[1] == 3  # not the copy of the first
    table = table_of(x, np.arange(400))
    few = FewFeatures(table, 2, {}, 3)
    w, _ = few.weights(np.arange(400), y[:, None], np.array([0.01]))
    assert set(np.flatnonzero(w[:, 0, 0])) == set(found[:2])


def test_mean_difference_is_that_of_raw_features():
    y = labels_of(300)
    x = noise(300) * np.arange(1, 13) + y[:, None]
    table = table_of(x, np.arange(200))
    way = MeanDifference("mean difference", table)
    z = way.decide(np.arange(200), y[:200, None], np.ones(1), np.arange(200, 300))[:, 0, 0]
    known = MeanDifferenceProbe(calibrate=False).fit(x[:200], y[:200])
    assert z == pytest.approx(known.decision_function(x[200:]), rel=1e-3, abs=1e-3)


# Bad input


def test_what_cannot_be_a_contest_is_refused():
    y = labels_of()
    z, x = latents(y), noise()
    train, report = np.arange(TRAIN), np.arange(TRAIN, N)
    pair = [Reader("a", "sae", lambda: z), Reader("b", "dense", lambda: x)]
    with pytest.raises(ConfigError, match="No reader of dense activations"):
        contest(pair[:1], y, None, train, report)
    with pytest.raises(ConfigError, match="called 'a'"):
        contest([pair[0], *pair], y, None, train, report)
    with pytest.raises(ConfigError, match="no balance 'half'"):
        contest(pair, y, None, train, report, balance="half")
    with pytest.raises(DataError, match="in both parts"):
        contest(pair, y, None, train, report - 1)
    with pytest.raises(DataError, match="report texts 0 have label 1"):
        contest(pair, np.where(np.arange(N) < TRAIN, y, 0), None, train, report)
    with pytest.raises(DataError, match="features of 480 texts, and there are 479"):
        contest(pair, y[:-1], None, train, report[:-1], sizes=QUICK)
    bad = x.copy()
    bad[3, 3] = np.nan
    with pytest.raises(DataError, match="not finite"):
        contest([pair[0], Reader("b", "dense", lambda: bad)], y, None, train, report, sizes=QUICK)
