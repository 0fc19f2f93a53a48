"""Section 5: what the trained model does otherwise, and how little moved for it."""

from __future__ import annotations

from bezoar.compare.models import ActivationDrop, LensComparison, WeightDrift
from bezoar.compare.models.values import ValuesKept
from bezoar.compare.models.verdicts import verdict as said
from bezoar.report.blocks import Block, Cell, Picture, Section, Table, Text
from bezoar.report.dpo.artefacts import Study
from bezoar.report.dpo.missing import missing
from bezoar.report.dpo.paper import NAME, PAPER, SECTIONS
from bezoar.report.figures.figure_1_lens_comparison import figure_1_lens_comparison
from bezoar.report.figures.figure_2_activation_drop import figure_2_activation_drop
from bezoar.report.figures.values_kept import values_kept
from bezoar.report.figures.weight_change import weight_change
from bezoar.report.numbers import bounds, count, estimate, number, p_value, percent, plural
from bezoar.report.sections.decides import quoted
from bezoar.report.study.cells import interval_cell, number_cell, share_cell

TENSORS = 12  # that moved most
CLOSE, MEAN = 0.99, 1e-5  # of section 5: cosine of a tensor, and its mean change


def changed(study: Study) -> Section:
    """Figures 1 and 2, the weights, and the value vectors."""
    intro = (
        f"{NAME} find the trained model's weights almost where they were, its toxic value vectors "
        "unchanged, and their activations lower: the vectors are not removed but no longer reached."
    )
    blocks: list[Block] = []
    if study.lens is not None:
        blocks += [Text(_lens_told(study)), _lens(study.lens), _lens_table(study.lens)]
    else:
        blocks.append(
            missing(study, "lens", "This run made no lens of both models: there is no Figure 1.")
        )
    if study.drops:
        blocks += _drops(study.drops)
    else:
        blocks.append(missing(study, "drop", "No activations were compared: there is no Figure 2."))
    if study.drift is not None:
        blocks += _drift(study.drift)
    else:
        blocks.append(missing(study, "drift", "This run did not compare the weights."))
    if study.values is not None:
        blocks += _values(study.values)
    return Section(
        "changed", f"What training changed ({SECTIONS['mechanism']})", intro, tuple(blocks)
    )


def _lens_told(study: Study) -> str:
    """What the lens says, beside its control."""
    assert study.lens is not None
    told = said(study.lens)
    if study.lens_reversed is None:
        return told
    other = estimate(study.lens_reversed.change[-1], signed=True)
    return (
        f"{told} These prompts were chosen because the base makes the tokens likely, and any "
        f"change lowers what was chosen for being high: with the weights moved as far the other "
        f"way, the probability changes by {other}."
    )


def _lens(lens: LensComparison) -> Picture:
    end, change = lens.base[-1], lens.change[-1]
    scale = "its own norm statistics" if lens.mode == "default" else "one frozen scale"
    return PAPER.figure(
        1,
        "logit_lens",
        figure_1_lens_comparison(lens),
        f"Mean probability of {quoted(lens.tokens)} at the last position of "
        f"{plural(lens.prompts_n, 'prompt')}, with 95 % intervals. {lens.base_says} of these "
        f"elicit one of the tokens, {lens.edited_says} once trained (the paper has 295 that "
        f"elicit its one token). Each state has {scale}, and the "
        "norm's bias counts, so that the last point is the model's own probability (the paper "
        "freezes one scale and leaves the bias out). Grey: the components that raise it most in "
        "the base (in the paper, the MLPs of layers 18 to 20).",
        f"Two lines by depth: at the end {estimate(end)} in the base, change "
        f"{estimate(change, signed=True)}.",
    )


def _lens_table(lens: LensComparison) -> Table:
    top = {step.component: step for step in (*lens.top_steps(4), *lens.most_changed(4))}
    rows = tuple(
        (
            name,
            interval_cell(step.base, signed=True),
            interval_cell(step.edited, signed=True),
            interval_cell(step.change, signed=True),
        )
        for name, step in top.items()
    )
    caption = (
        "What single components add to that probability: those that raise it most in the base, and "
        "those whose step fell most. The lens reads states that later layers still change: this "
        "describes, and the sums further down are exact."
    )
    return Table(caption, ("component", lens.base_name, lens.edited_name, "change"), rows)


def _drops(drops: dict[str, ActivationDrop]) -> list[Block]:
    main = drops.get("own") or next(iter(drops.values()))
    whose = {
        "own": "each model follows its own tokens",
        "shared": "both models follow the trained model's tokens, as in the paper's code",
        "base": "both models follow the base's tokens",
    }
    blocks: list[Block] = [
        Text(f"{said(main)} Measured on {plural(main.prompts_n, 'prompt')}."),
        PAPER.figure(
            2,
            "activation_drop",
            figure_2_activation_drop(main),
            f"Mean coefficients over {plural(main.new_tokens, 'greedy token')} after "
            f"{plural(main.prompts_n, 'prompt')}, with 95 % intervals; "
            f"{whose.get(main.continuations, main.continuations)}. The first neurons by cosine of "
            f"their value vector to the probe, and the mean of all {len(main.neurons)}.",
            f"Paired bars: the mean changes by {estimate(main.change, signed=True)}.",
        ),
    ]
    rows = tuple(_drop_row(name, found) for name, found in drops.items())
    caption = (
        "The same as numbers, and its null: as many random neurons of the same layers. A fall of "
        "toxic neurons that random ones share is no finding about toxicity."
    )
    columns = (
        "neurons and tokens",
        "before",
        "after",
        "change",
        "random neurons",
        "p",
        "fell",
        "rose",
    )
    return [*blocks, Table(caption, columns, rows, key="figure_2_numbers")]


_DROPS = {
    "own": "toxic neurons, own tokens",
    "shared": "toxic neurons, the trained model's tokens",
    "random": "random neurons, own tokens",
}


def _drop_row(name: str, found: ActivationDrop) -> tuple[Cell | str, ...]:
    return (
        Cell(_DROPS.get(name, name), plural(len(found.neurons), "neuron")),
        interval_cell(found.base, signed=True),
        interval_cell(found.edited, signed=True),
        interval_cell(found.change, signed=True, tone="strong" if found.change.high < 0 else ""),
        _random(found),
        "–" if found.null_p is None else Cell(p_value(found.null_p), "", "", (found.null_p,)),
        share_cell(found.fell),
        share_cell(found.rose),
    )


def _random(found: ActivationDrop) -> Cell:
    """What as many random neurons did: the mean over draws, and how far draws lie apart."""
    if not found.random:
        return Cell("–", "", "muted")
    mean = sum(found.random) / len(found.random)
    spread = bounds(min(found.random), max(found.random), signed=True)
    note = f"{plural(len(found.random), 'draw')} {spread}"
    return Cell(number(mean, signed=True), note, "muted", (mean,))


def _drift(drift: WeightDrift) -> list[Block]:
    moved = drift.moved
    close = sum(t.cosine > CLOSE for t in drift.tensors)
    small = sum(t.mean_absolute < MEAN for t in drift.tensors)
    total = len(drift.tensors)
    told = (
        f"“Nothing moved” ({SECTIONS['mechanism']}): {count(close)} of {plural(total, 'tensor')} "
        f"have a cosine above {CLOSE:g} to themselves, and {count(small)} a mean change of an "
        f"entry below {MEAN:g}, the paper's two thresholds. All parameters as one vector: cosine "
        f"{drift.cosine:.5f}, ‖ΔW‖ / ‖W‖ of all weights {percent(drift.relative, digits=2)}."
    )
    picture = Picture(
        weight_change(drift),
        "How far each component of each layer moved, relative to its size. Not in the paper, which "
        "gives the thresholds only.",
        f"Heat map of components by layers; the largest relative change is of "
        f"{moved[0].name if moved else 'none'}.",
        "section_5_weights",
    )
    energy = sum(t.difference**2 for t in moved) or 1.0
    rows = tuple(
        (
            t.name,
            number_cell(t.cosine, digits=6),
            share_cell(t.relative),
            Cell(f"{t.mean_absolute:.1e}", "", "", (t.mean_absolute,)),
            "–" if t.rank is None else count(t.rank),
            number_cell(t.stable_rank, digits=1),
            share_cell(t.difference**2 / energy),
        )
        for t in sorted(moved, key=lambda t: -t.difference)[:TENSORS]
    )
    caption = (
        f"The {plural(len(rows), 'tensor')} with most of the change, of {count(len(moved))} that "
        "moved at all. Stable rank: energy of the difference over that of its largest singular "
        "value."
    )
    columns = (
        "tensor",
        "cosine",
        "‖Δ‖ / ‖W‖ of the tensor",
        "mean |Δ| of an entry",
        "rank of Δ",
        "stable rank",
        "share of all change",
    )
    return [Text(told), picture, Table(caption, columns, rows, key="section_5_drift")]


def _values(found: ValuesKept) -> list[Block]:
    n = len(found.vectors)
    picture = Picture(
        values_kept(found),
        "The most toxic value vectors by rank: their cosine to the probe before training (rings) "
        "and after it (crosses).",
        f"{plural(n, 'value vector')} by rank, before and after.",
        "values_kept",
    )
    random = (_mean(found.random_cosine), _mean(found.random_tokens))
    p = "–" if found.null_p is None else Cell(p_value(found.null_p), "", "", (found.null_p,))
    rows: tuple[tuple[Cell | str, ...], ...] = (
        ("the most toxic", _fine(found.cosine.value), interval_cell(found.tokens, share=True), p),
        ("as many at random", _fine(random[0]), share_cell(random[1]), ""),
    )
    caption = (
        f"The same beside random value vectors of the same layers: cosine of a vector to itself, "
        f"and the share of its {found.promoted} most promoted tokens that it still promotes most. "
        "p: how often random vectors moved as far."
    )
    columns = ("value vectors", "cosine to itself", "tokens kept", "p")
    return [Text(said(found)), picture, Table(caption, columns, rows, key="values_kept_numbers")]


def _mean(values: tuple[float, ...]) -> float | None:
    return sum(values) / len(values) if values else None


def _fine(value: float | None) -> Cell:
    return number_cell(value, digits=6)
