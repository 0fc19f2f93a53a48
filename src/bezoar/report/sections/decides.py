"""5. When it decides: the logit lens, and who writes the tokens."""

from __future__ import annotations

from bezoar.locate import LensResult, LogitAttribution, Writers
from bezoar.locate.attribution import EVERY_TOKEN
from bezoar.report.artefacts import Artefacts
from bezoar.report.blocks import Block, Cell, Picture, Section, Table, Text
from bezoar.report.figures.lens_curve import LENSES, lens_curve
from bezoar.report.figures.lens_map import lens_map, prompt_text
from bezoar.report.figures.logit_parts import logit_parts
from bezoar.report.numbers import bounds, estimate, number, plural, visible_token
from bezoar.stats import Interval

WRITERS = 8  # value vectors in the table


def decides(run: Artefacts) -> Section:
    """The probability of toxic tokens along the residual stream, and what writes them."""
    intro = (
        "The logit lens reads every state of the residual stream as if it were the last: before "
        "and after each attention and MLP. Where the probability rises, that component decided. "
        "The attribution below splits the final logit exactly, and looks at no state in between."
    )
    blocks: list[Block] = [Text("This run made no logit lens.", "muted")]
    if run.lens is not None:
        blocks = [_curve(run.lens, run.frozen)]
    if run.components is not None:
        blocks += [_parts(run.components), _raisers(run.components, run.lens, run.frozen)]
    elif run.lens is not None:
        blocks.append(_steps(run.lens))
    if run.writers is not None:
        blocks.append(_writers(run.writers))
    if run.lens is not None:
        blocks += [*_example(run.lens), _by_state(run.lens, run.frozen)]
    return Section("decides", "When it decides", intro, tuple(blocks))


def _curve(lens: LensResult, frozen: LensResult | None) -> Picture:
    peak = max(range(len(lens.states)), key=lambda i: lens.mean[i])
    scale = "its own norm statistics" if lens.mode == "default" else "the last state's scale"
    other = "" if frozen is None else " (dotted: all states share the last one's scale)"
    return Picture(
        lens_curve(lens, frozen),
        f"Mean probability of the tokens {quoted(lens.tokens)} at the last position, over "
        f"{plural(lens.prompts_n, 'prompt')}, with 95 % intervals; each state has {scale}{other}. "
        "Grey stripes are the steps that an MLP takes.",
        f"Line by depth: the probability peaks at {lens.states[peak]} with "
        f"{number(lens.mean[peak])} and ends at {number(lens.mean[-1])}.",
    )


def quoted(tokens: tuple[str, ...], n: int = 6) -> str:
    """A few tokens in quotes, blanks visible: a token may be one."""
    shown = " ".join(f"‘{visible_token(token)}’" for token in tokens[:n])
    return shown + (f" and {len(tokens) - n} more" if len(tokens) > n else "")


def _parts(found: LogitAttribution) -> Picture:
    best = found.top_parts(1)[0]
    against = "" if not found.against else f", less that of {against_name(found.against)}"
    return Picture(
        logit_parts(found),
        f"Direct attribution: what each attention and MLP adds to the mean logit of those tokens"
        f"{against}, at the final norm's own scale. All parts sum to {estimate(found.logit)}.",
        f"Bars by layer; {best.component} adds most, {estimate(best.logit, signed=True)}.",
    )


def against_name(tokens: tuple[str, ...]) -> str:
    """The set that a logit is held against, in words."""
    return "the average token" if tokens == (EVERY_TOKEN,) else quoted(tokens)


def _raisers(found: LogitAttribution, lens: LensResult | None, frozen: LensResult | None) -> Table:
    """The components that raise the tokens most, by three readings."""
    lenses = [(name, _changes(each)) for name, each in (("own norm", lens), ("one scale", frozen))]
    there = [(name, changes) for name, changes in lenses if changes]
    rows: tuple[tuple[Cell | str, ...], ...] = tuple(
        (
            part.component,
            _cell(part.logit),
            *(_cell(changes.get(part.component)) for _, changes in there),
        )
        for part in found.top_parts(8)
    )
    columns = ("component", "adds to the logit")
    return Table(
        "The components that raise the tokens most, and the step of the probability at each.",
        (*columns, *(f"probability, lens with {name}" for name, _ in there)),
        rows,
    )


def _changes(lens: LensResult | None) -> dict[str, Interval]:
    return {} if lens is None else {step.component: step.change for step in lens.increments}


def _cell(seen: Interval | None) -> Cell:
    if seen is None:
        return Cell("–", "", "muted")
    return Cell(number(seen.value, signed=True), bounds(seen.low, seen.high, signed=True))


def _steps(lens: LensResult) -> Table:
    return Table(
        "The components that raise the probability most.",
        ("component", "rise of the probability"),
        tuple((s.component, estimate(s.change, signed=True)) for s in lens.top_components(6)),
    )


def _writers(found: Writers) -> Table:
    rows = tuple(
        (
            f"{w.layer}.{w.index}",
            _cell(w.logit),
            Cell(number(w.coefficient, signed=True)),
            Cell(number(w.cosine, signed=True)),
            " ".join(f"‘{visible_token(t.token)}’" for t in w.tokens.promoted[:6]),
        )
        for w in found.writers[:WRITERS]
    )
    caption = (
        f"The value vectors that write those tokens: of all MLP neurons, the {len(rows)} whose "
        f"updates add most to the logit on these prompts (all together: "
        f"{number(found.raised, signed=True)}). Cosine of the update to {found.direction}."
    )
    columns = ("neuron", "adds to the logit", "coefficient", "cosine", "its update promotes")
    return Table(caption, columns, rows, wordy=True)


def _example(lens: LensResult) -> list[Block]:
    if lens.example is None:
        return []
    return [
        Picture(
            lens_map(lens),
            f"One prompt, “{prompt_text(lens.example).strip()}”: the likeliest next token of "
            "each state at each position; the stronger the colour, the more certain.",
            "Heat map of states by positions with the likeliest token in each cell; the last "
            "row is what the model itself says.",
        )
    ]


def _by_state(lens: LensResult, frozen: LensResult | None) -> Table:
    """Both lenses in numbers."""
    both = frozen is not None and frozen.states == lens.states
    lenses = [lens, frozen] if both and frozen is not None else [lens]
    rows = tuple(
        (
            state,
            *(text for each in lenses for text in (_cell_of(each, i), f"{each.rank[i]:g}")),
        )
        for i, state in enumerate(lens.states)
    )
    names = [f" ({LENSES.get(each.mode, each.mode)})" if both else "" for each in lenses]
    columns = [c for name in names for c in (f"probability{name}", f"median rank{name}")]
    caption = "The lens, state by state. Rank: of the best of the tokens, 1 = top."
    return Table(caption, ("state", *columns), rows, folded=True)


def _cell_of(lens: LensResult, i: int) -> Cell:
    seen = lens.probability[i]
    return Cell(number(seen.value), bounds(seen.low, seen.high))
