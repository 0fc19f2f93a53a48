"""Stage 8, attack: what is left of each remedy when somebody tries to undo it (section 6).

Files: ``setup.json`` (what was tried, on which texts), ``NAME/robustness.json`` and
``NAME/residual.json`` of each edit, ``NAME/sample_free.json`` of those that lower toxicity (and of
the main training in any case), ``key_scaling.json`` (Table 4: factor × count, biases scaled or
not), ``rank_correlations.json``, and ``measured.jsonl``: every measurement, as soon as it is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from bezoar.attack import (
    AttackInputs,
    ResidualCapability,
    Robustness,
    SampleFree,
    attack_names,
    toxicity_and_cost,
)
from bezoar.attack.grids import BUDGETS, TEXTS
from bezoar.edits import Edit
from bezoar.errors import ConfigError, did_you_mean
from bezoar.mitigate import parse_method
from bezoar.runs import DPOStudyConfig, kept, load_result, save_result, track
from bezoar.runs.study_sections import AttackConfig
from bezoar.studies.attacking import Attacker, first_tokens, origin_of, predicted
from bezoar.studies.audit.asked import specs_of
from bezoar.studies.audit.fitting import slug
from bezoar.studies.audit.mitigate import Fits
from bezoar.studies.dpo.bench import DPOBench

AS_TRAINED = "dpo-as-trained"
TABLE_4 = ("key-scaling", "key-scaling-bias", "key-scaling-up")


@dataclass(frozen=True, slots=True)
class Remedy:
    """An edit under attack: its folder, its name for people, and itself."""

    name: str
    label: str
    edit: Edit


def check_attacks(config: DPOStudyConfig) -> None:
    """Refuse names of attacks and edits that do not exist, before any work.

    Raises:
        ConfigError: with the nearest names.
    """
    attack_names(config.attack.attacks)
    known = [AS_TRAINED, *(slug(parse_method(s).spec) for s in specs_of(config.mitigate.methods))]
    for name in config.attack.edits:
        if name != "all" and name not in known:
            near = did_you_mean(name, ("all", *known))
            raise ConfigError(f"There is no edit {name!r} to attack.", hint=near)


def attack_stage(bench: DPOBench) -> None:
    """Attack every remedy, look for what is left in it, and ask whether that could be foretold."""
    config = bench.config
    key: list[object] = [config.attack, config.model, config.evaluate.protocol, config.seed]
    key += [bench.scorer_b.hash, grid_of(config.attack)]
    with bench.run.stage("attack", key=key, after=["explore", "locate", "mitigate"]) as stage:
        if stage.done:
            return
        attacker = attacker_of(bench)
        every = list(remedies(bench))
        found = [
            _attacked(bench, attacker, remedy)
            for remedy in track(bench.progress, every, "Attacking edits", unit="edits")
        ]
        save_result(stage.folder / "rank_correlations.json", predicted(found, seed=config.seed))
        why = {r.edit: r.undefined for r, _ in found if r.score is None}
        save_result(stage.folder / "setup.json", attacker.setup(why))


def grid_of(asked: AttackConfig) -> dict[str, object]:
    """What the grid holds, by attack: under the same name it may hold something else one day."""
    names = dict.fromkeys((*attack_names(asked.attacks), *TABLE_4))
    budgets = {name: BUDGETS[name][asked.grid] for name in names}
    return budgets | {"texts": TEXTS[asked.grid]}


def remedies(bench: DPOBench) -> Iterator[Remedy]:
    """The main training at t = 1, and what was fitted to the budget; no controls."""
    wanted = bench.config.attack.edits
    trained = bench.trained(bench.dpo_spec).edit
    every = [Remedy(AS_TRAINED, "dpo as trained", trained)]
    fits = load_result(bench.run.folder("mitigate") / "methods.json", Fits)
    for fitted in fits.methods:
        if not parse_method(fitted.spec).control:
            every.append(Remedy(fitted.name, fitted.label, bench.edit(fitted.name)))
    yield from (remedy for remedy in every if "all" in wanted or remedy.name in wanted)


def attacker_of(bench: DPOBench) -> Attacker:
    """Scorer B on the first of the report prompts; texts that nothing was fitted on."""
    config, asked, lm = bench.config, bench.config.attack, bench.lm
    prompts = bench.prompts("report")[: asked.prompts]
    neutral = first_tokens(lm, bench.neutral("report"), asked.neutral_tokens)
    corpus = bench.corpus("report")
    return Attacker(
        lm=lm,
        inputs=AttackInputs(corpus, bench.values, bench.direction, origin_of(corpus), config.seed),
        measure=toxicity_and_cost(lm, prompts, bench.scorer_b, neutral, config.evaluate.protocol),
        neutral=neutral,
        prompts=len(prompts),
        train=bench.corpus("train"),
        names=asked.attacks,
        grid=asked.grid,
        site=config.locate.site,
        max_tokens=config.harvest.max_tokens,
        probe_texts=asked.probe_texts,
        limit=asked.limit,
        resamples=asked.resamples,
        seed=config.seed,
        kept=bench.run.folder("attack") / "measured.jsonl",
        progress=bench.progress,
    )


def _attacked(
    bench: DPOBench, attacker: Attacker, remedy: Remedy
) -> tuple[Robustness, SampleFree | None]:
    """Everything of one remedy; of what lowers nothing the reason and what a probe still reads."""
    folder, edit = bench.run.folder("attack") / remedy.name, remedy.edit
    attacker.keep = folder if bench.config.attack.keep_attacked else None
    main, label = remedy.name == AS_TRAINED, remedy.label
    if main and (keys := attacker.made(TABLE_4)[0]):
        kept(
            folder.parent / "key_scaling.json",
            Robustness,
            lambda: replace(attacker.robustness(edit, keys, anyway=True), edit=label),
        )
    robustness = kept(
        folder / "robustness.json",
        Robustness,
        lambda: replace(attacker.robustness(edit), edit=label),
    )
    kept(
        folder / "residual.json",
        ResidualCapability,
        lambda: replace(attacker.residual(edit), edit=label),
    )
    if not attacker.ranked or (robustness.score is None and not main):
        return robustness, None
    return robustness, kept(
        folder / "sample_free.json",
        SampleFree,
        lambda: replace(attacker.sample_free(edit), edit=label),
    )
