"""How good is the measuring stick? The scorers held against public labels, and against each other.

    python -m recipes.agreement --data-root DATA --out docs/results/scorers

writes one JSON of numbers (``numbers.json``), the figures drawn from it, and the page beside the
folder that shows both. One core, under five minutes.
"""
