"""Bars with rate and remaining time on a terminal; elsewhere a line when a loop begins, and every
half minute one that says how far it is.

Long loops take `progress: Progress | None` and call `track`, which accepts `None`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Thread
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from bezoar.interrupts import check

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as RichProgress
    from rich.progress import Task

T = TypeVar("T")

Advance = Callable[[int], None]

EVERY = 30.0
"""Seconds between the lines of a log."""


class Progress:
    """Shows how far the loops of a run are.

    Args:
        quiet: show nothing.
        console: where to draw; standard error by default, so that results stay pipeable.

    Example:
        >>> with Progress(quiet=True) as progress:
        ...     for text in progress.track(["a", "b"], "Scoring", unit="texts"):
        ...         pass
    """

    def __init__(self, *, quiet: bool = False, console: Console | None = None) -> None:
        self._quiet = quiet
        self._console = console
        self._bars: RichProgress | None = None
        self._left = Event()

    def __enter__(self) -> Progress:
        if not self._quiet:
            self._bars = _bars(self._console)
            self._bars.start()
            if self._bars.disable:
                self._left = Event()
                Thread(target=_tell, args=(self._bars, self._left), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bars is not None:
            self._left.set()
            self._bars.stop()
            self._bars = None

    @contextmanager
    def task(self, label: str, total: int | None = None, unit: str = "items") -> Iterator[Advance]:
        """One bar. Yields `advance(n)`; the bar leaves when the block ends."""
        if self._bars is None:
            yield _ignore
            return
        bars = self._bars
        if bars.disable and not bars.tasks:  # a log need not know of loops within loops
            self.note(f"{label} …")
        task = bars.add_task(label, total=total, unit=unit)
        try:

            def advance(n: int) -> None:
                check()
                bars.advance(task, n)

            yield advance
        finally:
            bars.remove_task(task)

    def track(
        self, items: Iterable[T], label: str, total: int | None = None, unit: str = "items"
    ) -> Iterator[T]:
        """Iterate under a bar; `total` is taken from `items` where they have a length."""
        if total is None and isinstance(items, Collection):
            total = len(items)
        with self.task(label, total, unit) as advance:
            for item in items:
                yield item
                advance(1)

    def note(self, text: str) -> None:
        """Print one plain line above the bars. The caller masks what a model or corpus wrote."""
        if self._bars is not None:
            _print(self._bars, text)


SILENT = Progress(quiet=True)


def track(
    progress: Progress | None,
    items: Iterable[T],
    label: str,
    total: int | None = None,
    unit: str = "items",
) -> Iterator[T]:
    """`progress.track(...)`, or plain iteration when `progress` is None."""
    return (progress or SILENT).track(items, label, total, unit)


def _ignore(n: int) -> None:
    check()


def _print(bars: RichProgress, text: str) -> None:
    bars.console.print(text, markup=False, highlight=False, soft_wrap=True)


def _tell(bars: RichProgress, left: Event) -> None:
    """Say now and then how far the loops are, also while none of them gets any further."""
    while not left.wait(EVERY):
        if tasks := bars.tasks:
            _print(bars, _line(tasks))


def _line(tasks: Sequence[Task]) -> str:
    """How far a loop is; of loops within loops the outermost and the innermost.

    ``Fitting methods 1/4: Training 320/2,400 pairs, about 3 min left``.
    """
    outer, inner = tasks[0], tasks[-1]
    within = f"{outer.description} {_count(outer)}: " if outer is not inner else ""
    seconds = inner.time_remaining
    left = f", about {duration(float(seconds))} left" if seconds else ""
    return f"{within}{inner.description} {_count(inner)} {inner.fields['unit']}{left}"


def _count(task: Task) -> str:
    done = f"{task.completed:,.0f}"
    return done if task.total is None else f"{done}/{task.total:,.0f}"


def duration(seconds: float) -> str:
    """``45 s``, ``12 min``, ``1.7 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _bars(console: Console | None) -> RichProgress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TextColumn
    from rich.progress import Progress as RichProgress
    from rich.progress import TimeRemainingColumn as Remaining
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else f"{speed:.3g} {task.fields['unit']}/s")

    console = console or Console(stderr=True)
    return RichProgress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        Remaining(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
        speed_estimate_period=10 * EVERY,  # some loops take minutes for one item
    )
