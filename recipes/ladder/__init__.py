"""What grows with size, and what a decoder owes to its objective: the ladder and the masked twin.

    python -m recipes.ladder --rung RUNG … --ngram NGRAM --data-root DATA --out docs/results/ladder

RUNG is a folder that ``recipes/demo/pretrain.py`` wrote. All rungs read the same tokens once, by
the same recipe, and have six layers; NGRAM is what ``recipes/demo/ngram.py`` printed. Writes
``numbers.json``, the figures drawn from it, and the page beside the folder that shows both.
"""
