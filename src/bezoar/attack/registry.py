"""The attacks by name, made of what an attacker has: `make_attacks("default", inputs, lm)`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bezoar.attack.attack import Attack
from bezoar.attack.context import ToxicContext
from bezoar.attack.decoding import Sampling
from bezoar.attack.fine_tuning import FineTuning, LaterCheckpoint
from bezoar.attack.grids import BUDGETS, GRIDS, TEXTS
from bezoar.attack.interpolation import Interpolation
from bezoar.attack.key_scaling import KeyScaling
from bezoar.attack.noise import WeightNoise
from bezoar.attack.pruning import Pruning
from bezoar.attack.quantisation import Quantisation
from bezoar.attack.relearning import Relearning
from bezoar.attack.steering import Steering
from bezoar.attack.wanda import WandaPruning
from bezoar.corpus import Corpus
from bezoar.errors import ConfigError, did_you_mean
from bezoar.locate import Direction, ValueRanking
from bezoar.models import LanguageModel

RARE = ("key-scaling-bias", "key-scaling-up")
"""Not among ``default``: variants of another attack, which would weigh twice in the score."""

_RANK = 8  # of adapters
_CALIBRATION = 32  # texts


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AttackInputs:
    """What an attacker is given.

    Attributes:
        corpus: labelled texts to train on, steer by, and put in front of prompts. None of them may
            be a prompt that is reported on, or a text that the remedy was fitted on.
        values: toxic value vectors by rank; None for a model that has no ranking of them.
        direction: the toxic direction; None for the mean difference alone.
        origin: in words, where the texts are from.
        seed: of every draw.
    """

    corpus: Corpus
    values: ValueRanking | None = None
    direction: Direction | None = None
    origin: str = ""
    seed: int = 0

    @property
    def toxic(self) -> tuple[str, ...]:
        return self._of_label(1)

    @property
    def plain(self) -> tuple[str, ...]:
        return self._of_label(0)

    def _of_label(self, label: int) -> tuple[str, ...]:
        rows = np.flatnonzero(self.corpus.labels == label)
        return tuple(self.corpus.texts[row] for row in rows)

    def few(self, n: int) -> Corpus:
        """At most ``n`` texts of each label."""
        return first_of_each(self.corpus, n)


def first_of_each(corpus: Corpus, n: int) -> Corpus:
    """At most the first ``n`` texts of each label, in their order."""
    rows = [np.flatnonzero(corpus.labels == label)[:n] for label in (0, 1)]
    return corpus.take(np.sort(np.concatenate(rows)))


Build = Callable[[AttackInputs, LanguageModel, dict[str, Any]], Attack | str]


def _keys(inputs: AttackInputs, lm: LanguageModel, options: dict[str, Any]) -> Attack | str:
    if inputs.values is None:
        return "there is no ranking of the value vectors of this model"
    counts = _at_most(options["counts"], len(inputs.values.entries))
    return KeyScaling.of(inputs.values, lm, **options | {"counts": counts, "seed": inputs.seed})


def _bias(inputs: AttackInputs, lm: LanguageModel, options: dict[str, Any]) -> Attack | str:
    parts = lm.anatomy[0]
    if getattr(parts.part("w_gate" if lm.gated else "w_in"), "bias", None) is None:
        return "the MLPs have no biases to scale"
    return _keys(inputs, lm, options | {"scale_bias": True, "name": "key scaling with bias"})


def _up(inputs: AttackInputs, lm: LanguageModel, options: dict[str, Any]) -> Attack | str:
    if not lm.gated:
        return "the MLPs have no gate, so a key is one vector"
    return _keys(inputs, lm, options | {"which": "up", "name": "key scaling, up rows"})


def _steering(inputs: AttackInputs, lm: LanguageModel, options: dict[str, Any]) -> Attack | str:
    few = inputs.few(options.pop("texts"))
    return Steering(few, inputs.direction, seed=inputs.seed, **options)


def _tuning(kind: type[FineTuning], toxic: bool, **more: Any) -> Build:
    def build(inputs: AttackInputs, lm: LanguageModel, options: dict[str, Any]) -> Attack | str:
        texts = inputs.toxic if toxic else inputs.plain
        counts = _at_most(options["counts"], len(texts))
        seeds = _seeds(inputs, options)
        return kind(texts, **options | more | {"counts": counts, "seeds": seeds})

    return build


def _relearning(inputs: AttackInputs, lm: LanguageModel, options: dict[str, Any]) -> Attack | str:
    return Relearning(inputs.toxic[:100], **options | {"seeds": _seeds(inputs, options)})


def _context(inputs: AttackInputs, lm: LanguageModel, options: dict[str, Any]) -> Attack | str:
    counts = _at_most(options["counts"], len(inputs.toxic))
    options = options | {"counts": counts, "seed": inputs.seed}
    return ToxicContext(inputs.toxic, inputs.plain, **options)


@dataclass(frozen=True, slots=True)
class Named:
    """An attack of the registry.

    Attributes:
        line: what is done, for lists.
        build: makes it; where a model has no place for it, the reason.
    """

    line: str
    build: Build


ATTACKS: dict[str, Named] = {
    "key-scaling": Named("turn up the keys of toxic neurons (Table 4 of Lee et al.)", _keys),
    "key-scaling-bias": Named("the same with their biases; not by default", _bias),
    "key-scaling-up": Named("of gated MLPs the up rows, not the gates; not by default", _up),
    "steering": Named("add a toxic direction, also fitted anew on the edited model", _steering),
    "fine-tuning": Named("train all weights on a few toxic texts", _tuning(FineTuning, True)),
    "lora": Named(
        "train low-rank adapters on a few toxic texts",
        _tuning(FineTuning, True, rank=_RANK, name="LoRA fine-tuning on toxic texts"),
    ),
    "relearning": Named("train on toxic texts, by steps: when is half of it gone?", _relearning),
    "benign-fine-tuning": Named(
        "train on harmless texts, as any user might",
        _tuning(FineTuning, False, name="benign fine-tuning"),
    ),
    "later-checkpoint": Named(
        "train the base on harmless texts, then apply the edit anew",
        _tuning(LaterCheckpoint, False),
    ),
    "pruning": Named("remove the smallest weights", lambda inputs, lm, o: Pruning(**o)),
    "wanda": Named(
        "remove the weights that matter least to activations",
        lambda inputs, lm, o: WandaPruning(inputs.plain[:_CALIBRATION], **o),
    ),
    "quantisation": Named("round to few bits", lambda inputs, lm, o: Quantisation(**o)),
    "noise": Named(
        "perturb the weights at random",
        lambda inputs, lm, o: WeightNoise(seed=inputs.seed, **o),
    ),
    "interpolation": Named("go back to the base weights", lambda i, lm, o: Interpolation(**o)),
    "decoding": Named(
        "sample, at several temperatures", lambda inputs, lm, o: Sampling(seed=inputs.seed, **o)
    ),
    "toxic-context": Named("put toxic texts in front of the prompt", _context),
}
"""By name, in the order of the tables."""


def attack_names(names: str | Sequence[str]) -> tuple[str, ...]:
    """``default``, ``all``, or a list of names (a text with commas between them).

    Raises:
        ConfigError: for an unknown name, or none.
    """
    given = names.split(",") if isinstance(names, str) else list(names)
    wanted: dict[str, None] = {}
    for name in filter(None, (part.strip() for part in given)):
        if name in ("default", "all"):
            wanted |= dict.fromkeys(n for n in ATTACKS if name == "all" or n not in RARE)
        elif name in ATTACKS:
            wanted[name] = None
        else:
            near = did_you_mean(name, ("default", "all", *ATTACKS))
            raise ConfigError(f"There is no attack {name!r}.", hint=near)
    if not wanted:
        raise ConfigError("No attack was named.", hint="Write default, all, or names.")
    return tuple(wanted)


def make_attacks(
    names: str | Sequence[str], inputs: AttackInputs, lm: LanguageModel, grid: str = "default"
) -> tuple[list[Attack], dict[str, str]]:
    """The attacks of these names at the budgets of a grid.

    Args:
        names: see `attack_names`.
        inputs: of the attacker.
        lm: the base model.
        grid: "quick", "default" or "full".

    Returns:
        The attacks; and by name why others have no place in this model.

    Raises:
        ConfigError: for an unknown name or grid.
        DataError: if the texts lack one label.
    """
    if grid not in GRIDS:
        raise ConfigError(f"There is no grid {grid!r}.", hint=did_you_mean(grid, GRIDS))
    inputs.corpus.need_both_labels()
    attacks: list[Attack] = []
    left_out: dict[str, str] = {}
    for name in attack_names(names):
        options = dict(BUDGETS[name][grid])
        if name == "steering":
            options["texts"] = TEXTS[grid]
            if grid == "quick":
                options["layers"] = (lm.n_layers // 2,)
        made = ATTACKS[name].build(inputs, lm, options)
        if isinstance(made, str):
            left_out[name] = made
        else:
            attacks.append(made)
    return attacks, left_out


def _at_most(counts: Sequence[int], n: int) -> tuple[int, ...]:
    """The counts, none larger than what there is."""
    return tuple(dict.fromkeys(min(count, n) for count in counts))


def _seeds(inputs: AttackInputs, options: dict[str, Any]) -> tuple[int, ...]:
    return tuple(range(inputs.seed, inputs.seed + options["seeds"]))
