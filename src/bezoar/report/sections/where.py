"""3. Where it lives: the probe map, its rivals, and the best probe source by source."""

from __future__ import annotations

from bezoar.locate import ProbeSweep
from bezoar.locate.sweep_results import KindScore, ProbeScore, RivalScore
from bezoar.report.artefacts import Artefacts
from bezoar.report.blocks import Block, Cell, Picture, Section, Table, Text
from bezoar.report.figures.probe_map import probe_map
from bezoar.report.numbers import bounds, count, estimate, number, p_value, percent, plural
from bezoar.stats import Interval


def where(run: Artefacts) -> Section:
    """The map, the table under it, and results by source."""
    intro = (
        "A linear probe at every layer and site says where the behaviour can be read. Its rivals "
        "read it without what the model learnt: from the embedding layer, from the words, from the "
        "length, from the same architecture with random weights. Where a probe does not beat them, "
        "it may have found no more than they did."
    )
    blocks: list[Block] = [Text("This run fitted no probes.", "muted")]
    if run.sweep is not None:
        blocks = _blocks(run.sweep)
    return Section("where", "Where it lives", intro, tuple(blocks))


def in_words(sweep: ProbeSweep) -> str:
    """The best site and whether it beats a bag of words, in a sentence."""
    best, over = sweep.best, sweep.over_words
    verb = "beats" if over.low > 0 else "loses to" if over.high < 0 else "does not clearly beat"
    return (
        f"The behaviour is read best at {best.site}: AUROC {estimate(best.auroc)}, which {verb} a "
        f"bag of words (difference {estimate(over, signed=True)})."
    )


def _blocks(sweep: ProbeSweep) -> list[Block]:
    best = sweep.best
    shuffled = ""
    if sweep.best_null_p is not None and best.null:
        draws = plural(len(best.null), "shuffled labelling")
        shuffled = (
            f" Against {draws}, the best of all sites each time, p = {p_value(sweep.best_null_p)}."
        ).replace("= <", "<")
    picture = Picture(
        probe_map(sweep),
        f"AUROC of a probe on {sweep.pooling}-pooled activations, fitted to "
        f"{plural(sweep.train_n, 'text')} and measured on {count(sweep.test_n)} others. The frame "
        "marks the site that cross-validation on the training texts chose. Below: it and its "
        "rivals with 95 % intervals, and what the same probe makes of shuffled labels.",
        f"Heat map of sites by layers. {in_words(sweep)}",
    )
    blocks: list[Block] = [Text(in_words(sweep) + shuffled), picture, _main(sweep), _sites(sweep)]
    if sweep.kinds:
        blocks.append(_kinds(sweep))
    return [*blocks, _sources(sweep)] if sweep.sources else blocks


_COLUMNS = ("AUROC", "average precision", "balanced accuracy", "TPR at 1 % FPR")


def _main(sweep: ProbeSweep) -> Table:
    embedding = sweep.at("embed")
    rows = [_row(f"best site: {sweep.best.site}", sweep.best)]
    if embedding is not None:
        rows.append(_row("embedding layer", embedding))
    rows += [_row(f"{kind.kind} probe: {kind.site}", kind) for kind in sweep.best_by_kind()]
    rows += [_row(rival.name, rival) for rival in sweep.rivals]
    caption = (
        "The best site and its rivals; other kinds of probe each at the site that their own "
        f"cross-validation chose. Always naming the commoner class would be right for "
        f"{percent(sweep.majority_rate)}."
    )
    return Table(caption, ("read from", *_COLUMNS), tuple(rows))


def _row(name: str, score: ProbeScore | RivalScore | KindScore) -> tuple[Cell | str, ...]:
    seen = (score.auroc, score.average_precision, score.balanced_accuracy, score.tpr_at_fpr)
    return (name, *(Cell(number(s.value), bounds(s.low, s.high)) for s in seen))


def _sites(sweep: ProbeSweep) -> Table:
    rows = tuple(
        (
            *_row(score.site, score),
            number(score.cv_auroc),
            number(max(score.null)) if score.null else "–",
            p_value(score.null_p),
        )
        for score in sweep.scores
    )
    columns = ("site", *_COLUMNS, "cross-validated AUROC", "best shuffled", "p")
    return Table(f"All {len(rows)} sites.", columns, rows, folded=True)


def _kinds(sweep: ProbeSweep) -> Table:
    """AUROC of every kind of probe at every site."""
    kinds = list(dict.fromkeys(kind.kind for kind in sweep.kinds))
    found = {(kind.kind, kind.site): kind for kind in sweep.kinds}
    rows = tuple(
        (
            score.site,
            _against_shuffled(score),
            *(
                _against_shuffled(other) if (other := found.get((kind, score.site))) else "–"
                for kind in kinds
            ),
        )
        for score in sweep.scores
    )
    caption = (
        "Other kinds of probe at all sites: AUROC with its interval, and p against shuffled labels."
    )
    return Table(caption, ("site", "logistic", *kinds), rows, folded=True)


def _against_shuffled(score: ProbeScore | KindScore) -> Cell:
    p = "" if score.null_p is None else f", p = {p_value(score.null_p)}".replace("= <", "<")
    return Cell(number(score.auroc.value), bounds(score.auroc.low, score.auroc.high) + p)


def _sources(sweep: ProbeSweep) -> Table:
    rows = tuple(
        (source.source, count(source.n), percent(source.positives / source.n if source.n else None))
        + (_cell(source.auroc), _cell(source.left_out))
        for source in sweep.sources
    )
    columns = ("source", "texts", "label 1", "AUROC", "AUROC, source left out of training")
    return Table(f"The probe at {sweep.best.site}, source by source.", columns, rows)


def _cell(seen: Interval | None) -> Cell:
    return Cell(number(seen.value), bounds(seen.low, seen.high)) if seen else Cell("–", "", "muted")
