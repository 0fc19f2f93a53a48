"""A whole audit with methods that are fitted from moments, on a tiny random model."""

from __future__ import annotations

from bezoar.evaluate import Scorecard
from bezoar.runs import load_result
from bezoar.runs.usage import read_times
from bezoar.studies.audit import run_audit
from bezoar.studies.audit.mitigate import Fits
from tests.studies.tiny import save_tiny_model, tiny

METHODS = ["transport", "distributed-shift"]


def test_they_are_fitted_nulled_timed_and_compared(tmp_path, monkeypatch):
    model = save_tiny_model(tmp_path / "model")
    out = tmp_path / "run"
    run_audit(tiny(out, model, {"mitigate": {"methods": METHODS}, "moments": {"texts": 30}}))
    assert (out / "moments" / "units" / "moments.json").exists()
    fits = load_result(out / "mitigate" / "methods.json", Fits)
    assert not fits.failed
    kinds = {m.name: {null.kind for null in m.nulls} for m in fits.methods}
    assert kinds == {
        "transport": {"shuffled-moments", "random-direction"},
        "distributed-shift": {"random-direction", "shuffled-labels"},
    }
    card = load_result(out / "evaluate" / "scorecard.json", Scorecard)
    assert [row.method for row in card.rows if row.kind == "method"] == METHODS
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    times = read_times(out)
    assert set(times.fitted) == {*METHODS}
    assert all(usage.seconds > 0 for usage in times.fitted.values())
    assert {"moments", "locate"} <= times.stages.keys()
