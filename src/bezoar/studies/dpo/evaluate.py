"""Stage 6, evaluate: Tables 2 and 4; trained models as they are, beside the fitted edits."""

from __future__ import annotations

from collections.abc import Iterator

from bezoar.attack import ScaleKeys
from bezoar.errors import ConfigError, UnsupportedAnatomy
from bezoar.studies.audit.evaluate import Given
from bezoar.studies.audit.evaluate import evaluate_stage as audit_evaluate_stage
from bezoar.studies.audit.fitting import label_of, slug
from bezoar.studies.dpo.bench import DPOBench, trained_specs

KEYS, FACTOR = 7, 10.0
"""Of Table 4."""
AS_TRAINED = "as trained"


def evaluate_stage(bench: DPOBench) -> None:
    """An audit's scorecard with a row for each training at t = 1, and the un-aligned model."""
    key = ["as trained, and with scaled keys", KEYS, FACTOR]
    audit_evaluate_stage(bench, lambda: tuple(given(bench)), key)


def given(bench: DPOBench) -> Iterator[Given]:
    """Every training as it ended, and the first with its toxic keys scaled (Table 4).

    One that could not be done is left out: the mitigate stage says why.
    """
    ended = bench.run.folder("mitigate") / "training"
    for spec in trained_specs(bench.config):
        if spec != bench.dpo_spec and not (ended / slug(spec) / "log.json").exists():
            continue
        trained, name = bench.trained(spec), slug(spec)
        yield Given(f"{name}-as-trained", spec, f"{label_of(spec)} {AS_TRAINED}", trained.edit)
        if spec == bench.dpo_spec and (keys := scaled_keys(bench)) is not None:
            label = f"{label_of(spec)} {AS_TRAINED}, {KEYS} keys × {FACTOR:g}"
            yield Given(f"{name}-keys", spec, label, trained.edit.then(keys.edit(bench.lm)))


def scaled_keys(bench: DPOBench) -> ScaleKeys | None:
    """The keys of the seven most toxic value vectors; None where there are no such keys."""
    if bench.values is None:
        return None
    neurons = tuple((entry.layer, entry.index) for entry in bench.values.entries[:KEYS])
    keys = ScaleKeys(neurons, FACTOR, which="gate" if bench.lm.gated else None)
    try:
        keys.edit(bench.lm)
    except (ConfigError, UnsupportedAnatomy):
        return None
    return keys
