"""Stage moments: mean and variance of single units on each class of training texts.

Runs only if a method is fitted from them. File: ``units/``, what `bezoar.locate.UnitMoments` saves;
the moments of as many shuffled labellings are in it as an audit makes null edits of a kind.
"""

from __future__ import annotations

from contextlib import suppress

from bezoar.corpus.draw import balanced
from bezoar.errors import SiteError, UnsupportedAnatomy
from bezoar.locate.moments import collect_moments
from bezoar.models import Site
from bezoar.studies.audit.asked import needs
from bezoar.studies.audit.bench import Bench


def moments_stage(bench: Bench) -> None:
    """Gather the moments; nothing if no method asks for any."""
    config = bench.config
    if "moments" not in needs(config):
        return
    asked, draws = config.moments, config.mitigate.null_draws
    key = [asked, config.model, draws, config.seed]
    with bench.run.stage("moments", key=key, after=["explore"]) as stage:
        if stage.done:
            return
        texts = balanced(bench.corpus("train"), asked.texts, bench.run.seed("moments"))
        moments = collect_moments(
            bench.lm,
            texts.texts,
            texts.labels,
            _sites(bench),
            pooling=asked.pooling,
            draws=draws,
            seed=bench.run.seed("moments"),
            trained_on=texts.hash,
            max_tokens=asked.max_tokens,
            progress=bench.progress,
        )
        moments.save(stage.folder / "units")


def _sites(bench: Bench) -> list[Site]:
    """The points that are asked for, where the model has them.

    Raises:
        SiteError: if it has none of them.
    """
    found: list[Site] = []
    for point in bench.config.moments.points:
        with suppress(UnsupportedAnatomy):  # the neurons of a mixture of experts: not one set
            found += bench.lm.sites([point])
    if not found:
        raise SiteError(
            f"{bench.lm.name} has none of the points {', '.join(bench.config.moments.points)}.",
            hint="Name others: --set moments.points=[resid_post].",
        )
    return found
