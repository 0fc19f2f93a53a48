"""Scores of both sides, stated rules, and a second opinion on what the rules left."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from rich.table import Table

from bezoar.corpus.table import counted
from bezoar.errors import ConfigError, DataError
from bezoar.pairs.check import PairsReport, without
from bezoar.pairs.pairs import Pairs
from bezoar.runs.results import Result
from bezoar.scoring import Scorer, load_scorer, repetition, score_texts, scorer_id
from bezoar.stats import Interval, mean_interval, text_key

_OF_RULES = ("scorer", "rules", "kept_share")  # what a filter leaves in the provenance


@dataclass(frozen=True, slots=True)
class PairRules(Result):
    """What a pair must be to be kept. A pair is dropped under the first rule that it breaks.

    Attributes:
        min_margin: rejected scores above chosen, by at least this.
        max_chosen: the chosen side scores at most this.
        min_rejected: the rejected side scores at least this.
        min_words: each side has so many words.
        max_repetition: at most this share of the word 3-grams of a side occurred in it before;
            steering too strongly makes loops.
    """

    min_margin: float = 0.05
    max_chosen: float = 1.0
    min_rejected: float = 0.0
    min_words: int = 3
    max_repetition: float = 0.3

    def __post_init__(self) -> None:
        for name in ("min_margin", "max_chosen", "min_rejected", "max_repetition"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(
                    f"PairRules cannot have {name}={getattr(self, name)}.",
                    hint="Scores and shares lie in [0, 1].",
                )

    @property
    def reasons(self) -> dict[str, str]:
        """The rules by name, as sentences with their numbers."""
        return {
            "too short": f"a side has fewer than {self.min_words} words",
            "repetitive": f"over {self.max_repetition:g} of a side's word 3-grams are repeats",
            "not above": "the rejected side does not score above the chosen one",
            "small margin": f"it does so by less than {self.min_margin:g}",
            "chosen too toxic": f"the chosen side scores over {self.max_chosen:g}",
            "rejected too mild": f"the rejected side scores under {self.min_rejected:g}",
        }


@dataclass(frozen=True, slots=True)
class PairsAgreement(Result):
    """What a scorer that made no rule says of the pairs.

    Attributes:
        scorer: name and hash.
        independent: False if these very scores filtered the pairs, now or before they were saved,
            or the scorers are of one lineage: the agreement is then no second opinion.
        n: pairs.
        above: share of them whose rejected side scores above the chosen one, with its bootstrap
            interval by prompt; ties count as no.
        margin: mean of rejected less chosen, likewise.
        chosen, rejected: mean scores of the sides.
    """

    scorer: str
    independent: bool
    n: int
    above: Interval
    margin: Interval
    chosen: float
    rejected: float

    def __rich__(self) -> Table:
        opinion = "" if self.independent else ", no second opinion"
        table = Table("of the pairs", "value", title=f"By {self.scorer}{opinion}")
        table.add_row("pairs", f"{self.n:,}")
        above, margin = self.above, self.margin
        table.add_row(
            "rejected above chosen", f"{above.value:.1%} [{above.low:.1%}, {above.high:.1%}]"
        )
        table.add_row("mean margin", f"{margin.value:.3f} [{margin.low:.3f}, {margin.high:.3f}]")
        table.add_row("mean toxicity, chosen", f"{self.chosen:.3f}")
        table.add_row("mean toxicity, rejected", f"{self.rejected:.3f}")
        return table


def score_pairs(pairs: Pairs, scorer: Scorer | str) -> Pairs:
    """The pairs with the toxicity of both sides; each side is scored without its prompt.

    Scores that other pairs were dropped by stay on record (``provenance["earlier"]``): their scorer
    gives no second opinion on these.

    Raises:
        ScorerError: if the scorer fails; nothing is ever taken for a zero.
    """
    scorer = load_scorer(scorer) if isinstance(scorer, str) else scorer
    chosen, rejected = _sides(pairs, scorer)
    about = {"name": scorer.name, "hash": scorer.hash, "lineage": scorer.lineage}
    provenance = dict(pairs.provenance)
    if "rules" in provenance and (provenance.get("scorer") or {}).get("hash") != scorer.hash:
        filtered = {key: provenance.pop(key) for key in _OF_RULES if key in provenance}
        provenance["earlier"] = [*provenance.get("earlier", ()), filtered]
    return dataclasses.replace(
        pairs,
        chosen_score=tuple(chosen.tolist()),
        rejected_score=tuple(rejected.tolist()),
        provenance=provenance | {"scorer": about},
    )


def filter_pairs(
    pairs: Pairs,
    rules: PairRules | None = None,
    *,
    none_left: bool = False,
    **changed: int | float,
) -> tuple[Pairs, PairsReport]:
    """Keep the scored pairs that break no rule.

    Args:
        pairs: with scores; see `score_pairs`.
        rules: the rules; the defaults of `PairRules` if None.
        none_left: whether it is right that no pair is left; an error if not.
        **changed: single rules, as in ``filter_pairs(pairs, min_margin=0.2)``.

    Raises:
        DataError: if the pairs have no scores, or none is left.
        ConfigError: if a rule is out of range.
    """
    rules = dataclasses.replace(rules or PairRules(), **changed)  # type: ignore[arg-type]
    margin = np.array(pairs.margin)
    chosen, rejected = np.array(pairs.chosen_score), np.array(pairs.rejected_score)
    broken: dict[str, Callable[[int], bool]] = {
        "too short": lambda i: any(len(s.split()) < rules.min_words for s in _both(pairs, i)),
        "repetitive": lambda i: any(_loops(s) > rules.max_repetition for s in _both(pairs, i)),
        "not above": lambda i: bool(margin[i] <= 0),
        "small margin": lambda i: bool(margin[i] < rules.min_margin),
        "chosen too toxic": lambda i: bool(chosen[i] > rules.max_chosen),
        "rejected too mild": lambda i: bool(rejected[i] < rules.min_rejected),
    }
    dropped: dict[str, list[int]] = {reason: [] for reason in broken}
    for row in range(len(pairs)):
        first = next((reason for reason, breaks in broken.items() if breaks(row)), None)
        if first is not None:
            dropped[first].append(row)
    kept, report = without(pairs, dropped, rules.reasons, none_left=none_left)
    provenance = kept.provenance | {
        "rules": dataclasses.asdict(rules),
        "kept_share": report.kept_share,
    }
    return dataclasses.replace(kept, provenance=provenance), report


def judge_pairs(pairs: Pairs, scorer: Scorer | str) -> PairsAgreement:
    """Ask a scorer that filtered nothing how often the rejected side is the more toxic one.

    Raises:
        DataError: if there are fewer than two pairs.
        ScorerError: if the scorer fails.
    """
    if len(pairs) < 2:
        raise DataError(
            f"{pairs.name!r} has {counted(len(pairs), 'pair')}.", hint="Two are needed."
        )
    scorer = load_scorer(scorer) if isinstance(scorer, str) else scorer
    chosen, rejected = _sides(pairs, scorer)
    record = pairs.provenance
    by = [each["scorer"] for each in (record, *record.get("earlier", ())) if each.get("scorer")]
    same = any(
        one.get("hash") == scorer.hash or one.get("lineage", one.get("name")) == scorer.lineage
        for one in by
    )
    keys = [text_key(p or r) for p, r in zip(pairs.prompts, pairs.rejected, strict=True)]
    return PairsAgreement(
        scorer=scorer_id(scorer),
        independent=not same,
        n=len(pairs),
        above=mean_interval((rejected > chosen).astype(np.float64), groups=keys),
        margin=mean_interval(rejected - chosen, groups=keys),
        chosen=float(chosen.mean()),
        rejected=float(rejected.mean()),
    )


def _sides(pairs: Pairs, scorer: Scorer) -> tuple[np.ndarray, np.ndarray]:
    scores = score_texts(scorer, [*pairs.chosen, *pairs.rejected])["toxicity"]
    return scores[: len(pairs)], scores[len(pairs) :]


def _both(pairs: Pairs, row: int) -> tuple[str, str]:
    return pairs.chosen[row], pairs.rejected[row]


def _loops(text: str) -> float:
    return repetition(text.split(), 3)
