"""Stage saes: all autoencoders that were asked for, at each site in one pass over its rows.

They see tokens of training texts only. Files: a folder for each autoencoder, which SAELens opens
too, and ``curves.json`` (how each training went, in the order asked for). One that is given by
``sae.path`` is held against the model and site, and copied.
"""

from __future__ import annotations

from bezoar.runs import save_result
from bezoar.sae import TrainingCurve, train_saes
from bezoar.sae.curves import Curves
from bezoar.studies.audit.about import licence_note
from bezoar.studies.audit.sae import weights_hash
from bezoar.studies.sae.bench import SAEBench
from bezoar.studies.sae.harvest import rows_of, trained_on


def saes_stage(bench: SAEBench) -> None:
    """Train them, going on where an interrupted stage was; or take the one that is given.

    Raises:
        SAEError: if there are more latents than tokens, a site's rows are constant or a loss
            diverges; or if the one that is given is of another model, site or width.
        DataError: if no text is left to train on.
    """
    asked = bench.config.sae
    elsewhere = {"store", "max_tokens", "max_new_tokens", "tokens_of", "sites", "path"}
    told = asked.model_dump(exclude=elsewhere)
    key = [told, list(bench.names), bench.config.seed, bench.lm.fingerprint]
    key += ["" if asked.path is None else weights_hash(asked.path)]
    with bench.run.stage("saes", key=key, after=["harvest"]) as stage:
        if stage.done:
            return
        curves: list[TrainingCurve] = []
        if bench.given is not None:
            [name] = bench.names
            bench.given.save(stage.folder / name)
        else:
            curves = _train(bench)
        save_result(stage.folder / "curves.json", Curves(tuple(curves)))


def _train(bench: SAEBench) -> list[TrainingCurve]:
    asked, lm = bench.config.sae, bench.lm
    texts = trained_on(bench)
    corpus = bench.corpora["train"]
    left_out = " of label 0" if asked.train_on == "non_target" else ""
    curves: list[TrainingCurve] = []
    for site in bench.sites:
        trained = train_saes(
            bench.specs,
            rows_of(bench, site, texts),
            tokens=asked.tokens,
            batch=asked.batch,
            lr=asked.lr,
            expansion=asked.expansion,
            seed=bench.config.seed,
            lm_info=(lm.name, lm.fingerprint),
            trained_on=f"{len(texts):,} training texts{left_out} of {corpus.name}",
            licence_note=licence_note(bench, "labelled texts"),
            out=bench.run.folder("saes"),
            device=lm.device,
            precision=asked.precision,
            progress=bench.progress,
        )
        curves += [one.curve for one in trained]
    return curves
