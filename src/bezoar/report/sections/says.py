"""4. What it says: the directions found, read as tokens."""

from __future__ import annotations

from bezoar.locate import LexiconShare, TokenList, ValueRanking
from bezoar.report.artefacts import Artefacts
from bezoar.report.blocks import Block, Section, Table, Text, TokenRows
from bezoar.report.numbers import count, number, p_value, percent, share_estimate, visible_token

SHOWN = 12  # tokens of each direction
ROWS = 20  # value vectors in the table


def says(run: Artefacts) -> Section:
    """Promoted tokens of the probe, the top value vectors and their SVD."""
    blocks: list[Block] = []
    if run.tokens:
        blocks.append(_tokens(run.tokens, run.values))
    else:
        blocks.append(Text("This run read no direction as tokens.", "muted"))
    if run.share is not None:
        blocks.append(Text(share_text(run.share)))
    if run.values is not None:
        blocks.append(ranking_table(run.values))
    intro = (
        "Every direction of the residual stream can be multiplied with the unembedding: that gives "
        "the tokens whose logits it raises and lowers. Value vectors are what single MLP neurons "
        "write. Read this as a description: whether a direction matters, “What helps” shows."
    )
    return Section("says", "What it says", intro, tuple(blocks))


def _tokens(tokens: tuple[TokenList, ...], values: ValueRanking | None) -> TokenRows:
    cosines = {f"value {entry}": entry.cosine for entry in values.entries} if values else {}
    rows = tuple(
        (
            found.name,
            f"cosine {number(cosines[found.name])}" if found.name in cosines else "",
            tuple(visible_token(token.token) for token in found.promoted[:SHOWN]),
            tuple(visible_token(token.token) for token in found.suppressed[: SHOWN // 2]),
        )
        for found in tokens
    )
    return TokenRows("Tokens that each direction raises and lowers most, strongest first.", rows)


def share_text(share: LexiconShare) -> str:
    """Whether value vectors promote the corpus's words more than random ones do."""
    verb = "more than" if share.p < 0.05 else "no more than"
    return (
        f"Of the {share.k} tokens that each of the {share.vectors} top value vectors raises most, "
        f"{_interval(share)} are among the words that mark the corpus's behaviour, {verb} for "
        f"random value vectors ({percent(share.null_mean)}, 95th percentile "
        f"{percent(share.null_high)}; p = {p_value(share.p)})."
    ).replace("= <", "<")


def _interval(share: LexiconShare) -> str:
    seen = share.interval
    return percent(share.share) if seen is None else share_estimate(seen)


def ranking_table(values: ValueRanking) -> Table:
    """The first value vectors with their cosines."""
    rows = tuple(
        (str(e), str(e.layer), str(e.index), number(e.cosine), number(e.norm))
        for e in values.entries[:ROWS]
    )
    caption = (
        f"MLP value vectors nearest to {values.direction}: the first {len(rows)} of "
        f"{count(values.considered)}, all of which were compared."
    )
    columns = ("neuron", "layer", "index", "cosine", "norm")
    return Table(caption, columns, rows, folded=True)
