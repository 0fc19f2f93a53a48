"""The sampler: two multi-objective TPE studies of optuna in one journal file.

One study is of single methods with their options, the other of stacks of methods. What a trial
suggests depends on the trials before it and on a seed of its own number, and on nothing else: a
search that was killed goes on as if it had not been, and one that is given more trials begins with
the same ones.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

    import optuna

T = TypeVar("T")
Kind = Literal["single", "stack"]
KINDS: tuple[Kind, ...] = ("single", "stack")
_OVER = "over"


class Journal:
    """Suggests what to try next, and remembers what came of it.

    Args:
        path: the journal file; made if it is missing, and mended if a kill left half a line.
        seed: of all draws.
    """

    def __init__(self, path: Path, seed: int) -> None:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

        path.parent.mkdir(parents=True, exist_ok=True)
        _mend(path)
        self._seed = seed
        with _quiet():
            backend = JournalFileBackend(str(path), lock_obj=JournalFileOpenLock(str(path)))
            storage = JournalStorage(backend)
            self._studies = {
                kind: optuna.create_study(
                    storage=storage,
                    study_name=kind,
                    directions=["minimize", "minimize"],
                    load_if_exists=True,
                )
                for kind in KINDS
            }
            for study in self._studies.values():  # what was under way is asked for once more
                for trial in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
                    study.tell(trial.number, state=optuna.trial.TrialState.FAIL)

    def done(self, kind: Kind) -> int:
        """Trials of a kind that were told."""
        import optuna

        states = (optuna.trial.TrialState.COMPLETE,)
        return len(self._studies[kind].get_trials(deepcopy=False, states=states))

    @property
    def total(self) -> int:
        """Trials of both kinds that were told."""
        return sum(map(self.done, KINDS))

    def ask(
        self,
        kind: Kind,
        suggest: Callable[[optuna.Trial], T],
        *,
        startup: int,
        fixed: Mapping[str, Any] | None = None,
    ) -> tuple[optuna.Trial, T]:
        """A new trial, and what ``suggest`` makes of it.

        Args:
            kind: of which study.
            suggest: asks the trial for its values.
            startup: trials of this kind that are drawn at random.
            fixed: values that are settled.
        """
        from optuna.samplers import PartialFixedSampler, TPESampler

        with _quiet():
            sampler: Any = TPESampler(
                n_startup_trials=startup,
                multivariate=True,
                group=True,
                constant_liar=False,
                constraints_func=_constraint,
                seed=(self._seed + 2 * self.done(kind) + KINDS.index(kind)) % 2**32,
            )
            if fixed:
                sampler = PartialFixedSampler(dict(fixed), sampler)
            study = self._studies[kind]
            study.sampler = sampler
            trial = study.ask()
            return trial, suggest(trial)

    def tell(
        self, kind: Kind, trial: optuna.Trial, values: tuple[float, float], over: float
    ) -> None:
        """What came of a trial.

        Args:
            kind: of which study.
            trial: as it was asked for.
            values: share of the toxicity that is left, and cost; finite.
            over: above 0 for an edit that is not to be had, the more the worse.
        """
        with _quiet():
            trial.set_user_attr(_OVER, over)
            self._studies[kind].tell(trial, list(values))


def _constraint(trial: Any) -> tuple[float]:
    return (float(trial.user_attrs[_OVER]),)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the library's own log lines and its warnings that what we use may change."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(level)


def _mend(path: Path) -> None:
    """Drop half a line at the end, and the lock of a process that is gone.

    The run's folder is locked as a whole, so that nobody else writes here.
    """
    for lock in path.parent.glob(f"{path.name}.lock*"):
        lock.unlink()
    if not path.exists():
        return
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if whole != data:
        path.write_bytes(whole)
