"""5. When it decides: the logit lens."""

from __future__ import annotations

from bezoar.locate import LensResult
from bezoar.report.artefacts import Artefacts
from bezoar.report.blocks import Block, Picture, Section, Table, Text
from bezoar.report.figures.lens_curve import lens_curve
from bezoar.report.figures.lens_map import lens_map, prompt_text
from bezoar.report.numbers import estimate, number, plural


def decides(run: Artefacts) -> Section:
    """The probability of toxic tokens along the residual stream."""
    intro = (
        "The logit lens reads every state of the residual stream as if it were the last: before "
        "and after each attention and MLP. Where the probability rises, that component decided."
    )
    blocks: list[Block] = (
        _blocks(run.lens)
        if run.lens is not None
        else [Text("This run made no logit lens.", "muted")]
    )
    return Section("decides", "When it decides", intro, tuple(blocks))


def _blocks(lens: LensResult) -> list[Block]:
    peak = max(range(len(lens.states)), key=lambda i: lens.mean[i])
    tokens = " ".join(token.strip() for token in lens.tokens[:6])
    scale = "its own norm statistics" if lens.mode == "default" else "the last state's scale"
    blocks: list[Block] = [
        Picture(
            lens_curve(lens),
            f"Mean probability of the tokens “{tokens}” at the last position, over "
            f"{plural(lens.prompts_n, 'prompt')}, with 95 % intervals; each state has {scale}. "
            "Grey stripes are the steps that an MLP takes.",
            f"Line by depth: the probability peaks at {lens.states[peak]} with "
            f"{number(lens.mean[peak])} and ends at {number(lens.mean[-1])}.",
        ),
        Table(
            "The components that raise the probability most.",
            ("component", "rise of the probability"),
            tuple((s.component, estimate(s.change, signed=True)) for s in lens.top_components(6)),
        ),
    ]
    if lens.example is not None:
        blocks.append(
            Picture(
                lens_map(lens),
                f"One prompt, “{prompt_text(lens.example).strip()}”: the likeliest next token of "
                "each state at each position; the stronger the colour, the more certain.",
                "Heat map of states by positions with the likeliest token in each cell; the last "
                "row is what the model itself says.",
            )
        )
    blocks.append(_by_state(lens))
    return blocks


def _by_state(lens: LensResult) -> Table:
    rows = tuple(
        (state, estimate(p), f"{rank:g}")
        for state, p, rank in zip(lens.states, lens.probability, lens.rank, strict=True)
    )
    return Table(
        "The lens, state by state.",
        ("state", "probability", "median rank of the best token (1 = top)"),
        rows,
        folded=True,
    )
