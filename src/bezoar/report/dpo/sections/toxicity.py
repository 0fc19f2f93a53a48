"""Section 3: where toxicity is read, which value vectors write it, and what they say."""

from __future__ import annotations

from bezoar.locate import TokenList, ValueRanking
from bezoar.locate.svd import NSweep
from bezoar.report.blocks import Block, Section, Table, Text, TokenRows
from bezoar.report.dpo.artefacts import Study
from bezoar.report.dpo.paper import NAME, PAPER, SECTIONS
from bezoar.report.numbers import number, plural, visible_token
from bezoar.report.sections.says import ranking_table, share_text
from bezoar.report.sections.where import where
from bezoar.report.study.cells import number_cell

SHOWN = 12  # tokens of each direction
VECTORS = 7  # value vectors, as in Table 1


def toxicity(study: Study) -> Section:
    """The probe map, Table 1, and how the toxic subspace depends on its size."""
    run = study.audit
    intro = (
        f"{NAME} fit a linear probe to the last layer's states and take the MLP value vectors "
        "nearest to it for the model's toxic vectors. Here every layer is probed, beside rivals "
        "that read toxicity without the model's help."
    )
    blocks: list[Block] = [*where(run).blocks]
    tokens = [found for found in run.tokens if "mean difference" not in found.name]
    if tokens:
        blocks.append(_table_1(tokens, run.values))
    else:
        blocks.append(Text("This run read no direction as tokens: there is no Table 1.", "muted"))
    if run.share is not None:
        blocks.append(Text(share_text(run.share)))
    if run.values is not None:
        blocks.append(ranking_table(run.values))
    if study.n_sweep is not None:
        blocks.append(_n_sweep(study.n_sweep))
    return Section(
        "toxicity", f"Toxicity in the model ({SECTIONS['toxicity']})", intro, tuple(blocks)
    )


def _table_1(tokens: list[TokenList], values: ValueRanking | None) -> TokenRows:
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
    caption = PAPER.table_caption(
        1,
        f"The probe, the {plural(VECTORS, 'value vector')} nearest to it (layer.index) and the "
        "singular vectors of the nearest ones, multiplied with the unembedding: the tokens whose "
        "logits each raises most, and (not in the paper) lowers most. Signs follow the probe.",
    )
    return TokenRows(caption, rows, key="table_1")


def _n_sweep(found: NSweep) -> Table:
    rows = tuple(
        (
            str(p.n),
            number_cell(p.least_cosine),
            number_cell(p.first_cosine),
            number_cell(p.first_share),
            " ".join(f"{angle:.0f}°" for angle in p.angles) or "–",
        )
        for p in found.points
    )
    caption = (
        "How much the number of stacked value vectors matters: the paper says 128, its evaluation "
        f"takes 512. Angles are between the first {plural(found.k, 'singular vector')} of one row "
        "and of the next; 0° would be the same subspace, 90° nothing in common."
    )
    columns = (
        "value vectors",
        "least cosine to the probe",
        "cosine of SVD[0] to the probe",
        "share of their energy on SVD[0]",
        "angles to the next",
    )
    return Table(caption, columns, rows, folded=True)
