"""Every error a user can meet, under one root.

    BezoarError
    ├── ConfigError            an option, a YAML file or a combination that cannot be run
    ├── DataError              texts, labels, columns, splits
    ├── ModelError             loading a model
    │   ├── UnsupportedAnatomy     a structure that was not recognised, or lacks what was asked
    │   └── SiteError              a site or layer that the model does not have
    ├── StoreError             activations and other artefacts on disk
    │   └── CorruptArtefact        damaged, truncated, altered or hostile
    ├── SAEError               a sparse autoencoder that does not fit, or cannot be trained
    ├── ScorerError            a scorer that is missing, failed, or returned what is no score
    ├── EditError              an edit that does not fit the model
    │   ├── SiteMismatch           a direction of one site used at another
    │   ├── NotFoldable            no plain weights can express it (the reason says why)
    │   ├── EditHasNoEffect        the self-test saw nothing change
    │   ├── BudgetError            no strength meets the stated cost
    │   ├── AttackFailed           an attack that broke down, such as a training that diverged
    │   └── TrainingDiverged       a loss or gradient that is not finite
    ├── RunError               the run folder
    │   ├── RunConflict            it holds a run with another configuration
    │   └── RunLocked              another process is working in it
    ├── NoFigure               no picture is drawn of this kind of result (also a TypeError)
    └── GateFailed             `--fail-if` was met: the audit ran, and the verdict is no

A message says what happened, the value seen and what to do. `exit_code` is the command's status.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


class BezoarError(Exception):
    """The root. `hint` says what to do about it."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


class ConfigError(BezoarError):
    exit_code = 2


class DataError(BezoarError):
    exit_code = 3


class ModelError(BezoarError):
    exit_code = 4


class UnsupportedAnatomy(ModelError):
    pass


class SiteError(ModelError):
    pass


class StoreError(BezoarError):
    exit_code = 5


class CorruptArtefact(StoreError):
    pass


class SAEError(BezoarError):
    exit_code = 9


class ScorerError(BezoarError):
    exit_code = 6


class EditError(BezoarError):
    exit_code = 7


class SiteMismatch(EditError):
    pass


class NotFoldable(EditError):
    pass


class EditHasNoEffect(EditError):
    pass


class BudgetError(EditError):
    """`trace` is the search that failed (a `BudgetTrace`), where there was one."""

    trace: object = None


class AttackFailed(EditError):
    pass


class TrainingDiverged(EditError):
    """`trained` is the best state before (a `Trained`), where there was one."""

    trained: object = None


class RunError(BezoarError):
    exit_code = 8


class RunConflict(RunError):
    pass


class RunLocked(RunError):
    pass


class NoFigure(BezoarError, TypeError):
    pass


class GateFailed(BezoarError):
    exit_code = 10


_CUTOFF = 0.66  # of difflib's ratio: two typing errors in a word of six letters
_BESIDE = 0.1  # names this much less alike than the best are guesses, not suggestions
_LISTED = 20


def nearest(seen: str, valid: Iterable[str], n: int = 3) -> list[str]:
    """The valid names that `seen` could be a misspelling, or the beginning, of; best first."""
    asked = _plain(seen)
    alike = {name: _likeness(asked, _plain(name)) for name in valid}
    best = max(alike.values(), default=0.0)
    near = [name for name, like in alike.items() if like >= max(_CUTOFF, best - _BESIDE)]
    return sorted(near, key=lambda name: (-alike[name], name))[:n]


def several(texts: T, what: str) -> T:
    """Texts as they were given, unless that is one text, whose letters would be taken for texts.

    Raises:
        DataError: saying what to write.
    """
    if isinstance(texts, str):
        raise DataError(
            f"The {what} are one string, {texts[:40]!r}: its letters would be read one by one.",
            hint=f"Put it into a list: [{texts[:20]!r}].",
        )
    return texts


def did_you_mean(seen: str, valid: Iterable[str], n: int = 3) -> str:
    """A hint naming the valid names nearest to `seen`, or all of them if none is near.

    Of a long list without a near name nothing is said: any twelve of two hundred modules, or of
    the files of a folder, would send the reader the wrong way.
    """
    names = sorted(set(valid))
    near = nearest(seen, names, n)
    if near:
        return f"Did you mean {' or '.join(repr(name) for name in near)}?"
    if not names or len(names) > _LISTED:
        return ""
    return f"Valid: {', '.join(repr(name) for name in names)}."


def _plain(name: str) -> str:
    return name.strip().casefold().replace("_", "-").replace(" ", "-")


def _likeness(asked: str, name: str) -> float:
    """In [0, 1]. The beginning of a name counts as a near miss, from three letters on."""
    stem, dot, suffix = asked.rpartition(".")
    if dot and name.endswith(dot + suffix):  # an equal suffix makes no two files alike
        asked, name = stem, name.removesuffix(dot + suffix)
    ratio = difflib.SequenceMatcher(None, asked, name).ratio()
    return max(ratio, 0.89) if len(asked) > 2 and name.startswith(asked) else ratio
