"""Every comparison of this room, one after another, each kept as soon as it is made.

What a model's anatomy or an edit does not allow (neurons of a mixture of experts, weights of an
edit of activations) is left out, with the reason in ``skipped.json``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bezoar.compare.models.activations import ActivationDrop
from bezoar.compare.models.contribution_results import Contributions
from bezoar.compare.models.drift import WeightDrift
from bezoar.compare.models.heads import HeadContributions
from bezoar.compare.models.inputs import CompareInputs, CompareSizes
from bezoar.compare.models.interpolation import Interpolation
from bezoar.compare.models.lens import LensComparison
from bezoar.compare.models.parts import NotGiven, Parts
from bezoar.compare.models.qualitative import Qualitative
from bezoar.compare.models.shift import ResidualShifts
from bezoar.compare.models.sources import SourcesByLayer
from bezoar.compare.models.values import ValuesKept
from bezoar.edits import Edit
from bezoar.errors import ConfigError, ModelError, NotFoldable, did_you_mean, several
from bezoar.models import LanguageModel
from bezoar.runs.progress import Progress, track
from bezoar.runs.results import Result, kept, load_result, save_result

PARTS: dict[str, type[Result]] = {
    "drift": WeightDrift,
    "values": ValuesKept,
    "lens": LensComparison,
    "lens_reversed": LensComparison,
    "drop": ActivationDrop,
    "drop_shared": ActivationDrop,
    "drop_random": ActivationDrop,
    "shifts": ResidualShifts,
    "sources": SourcesByLayer,
    "contributions": Contributions,
    "heads": HeadContributions,
    "interpolation": Interpolation,
    "qualitative": Qualitative,
}
"""Name of a part, and of its file, to what it is."""


@dataclass(frozen=True, slots=True)
class Skipped(Result):
    """Parts that could not be had, and why."""

    reasons: dict[str, str]


def compare_all(
    base: LanguageModel,
    edited: LanguageModel | Edit,
    inputs: CompareInputs,
    folder: Path,
    *,
    parts: Iterable[str] = tuple(PARTS),
    sizes: CompareSizes | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Skipped:
    """Make every part and keep it as ``FOLDER/NAME.json``; what is there is not made again.

    ``lens_reversed`` is the lens with the weights moved as far the other way: where prompts were
    chosen because the base elicits a token, any change lowers it. ``drop_random`` follows as many
    random neurons of the same layers.

    Args:
        base, edited: a model; an edit of it or another checkpoint.
        inputs: what is read.
        folder: of the files. It must be of these very models, inputs and sizes.
        parts: some of `PARTS`.
        sizes: how much of each.
        seed: of bootstraps and random sets.
        progress: where to show it.

    Raises:
        ConfigError: for a part that is none of `PARTS`; nothing is made then.
        ModelError: if the models differ in shape or tokenizer.
        EditError: if the edit does not fit the base.
    """
    names = list(several(parts, "parts"))
    for name in names:
        if name not in PARTS:
            raise ConfigError(f"There is no part {name!r}.", hint=did_you_mean(name, PARTS))
    making = Parts(base, edited, inputs, sizes or CompareSizes(), seed, progress)
    reasons: dict[str, str] = {}
    for name in track(progress, names, "Comparing", unit="parts"):
        try:
            kept(folder / f"{name}.json", PARTS[name], getattr(making, name))
        except (NotGiven, NotFoldable, ModelError) as error:  # the models themselves fit: see Parts
            reasons[name] = str(error)
    skipped = Skipped(reasons)
    save_result(folder / "skipped.json", skipped)
    return skipped


def load_compared(folder: Path) -> dict[str, Result]:
    """The parts that are there, in their order.

    Raises:
        CorruptArtefact: if one is damaged.
    """
    files = {name: folder / f"{name}.json" for name in PARTS}
    return {name: load_result(file, PARTS[name]) for name, file in files.items() if file.exists()}
