"""Chinese: a small scorer, for runs on Chinese texts.

    python -m recipes.chinese.train_scorer --data-root DATA --out SCORER --also toxicn:toxicn

DATA holds ``cold_zh`` (COLD, Apache-2.0); what else is named is only measured on. The scorer is a
folder that `bezoar.scoring.load_scorer` takes, as an audit's ``evaluate.scorer_a``.
"""
