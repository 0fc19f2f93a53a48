"""Search: which method, with which options and strength, alone or stacked, does most for a cost.

A `Space` says what is tried, a `Journal` proposes (multi-objective TPE), an `Objective` measures on
selection prompts, a few first and more for those that are not beaten, and `settle` picks the front.
What won on the prompts that it was picked by is flattered by them: measure it again on others.
"""

from bezoar.search.front import settle
from bezoar.search.journal import Journal
from bezoar.search.loop import search
from bezoar.search.objective import Meters, Objective
from bezoar.search.results import Calibration, Finalist, Finals, Flattery, Found, Part, Trial, share
from bezoar.search.space import Space, Stack, searched_by_default

__all__ = [
    "Calibration",
    "Finalist",
    "Finals",
    "Flattery",
    "Found",
    "Journal",
    "Meters",
    "Objective",
    "Part",
    "Space",
    "Stack",
    "Trial",
    "search",
    "searched_by_default",
    "settle",
    "share",
]
