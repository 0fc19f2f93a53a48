"""Where the paper, its code and this library differ, and how much each difference is worth here.

    python -m recipes.modes --data-root DATA --out docs/results/modes

Lee et al. 2024 and the code they released disagree in places, and both do a few things that this
library does otherwise; each is kept as a ``mode``. Everything is measured once, on the demo model
and public text that it was not trained on: ours beside theirs, on the same prompts. Writes
``numbers.json``, the figure drawn from it, and the page beside the folder that shows both.
"""
