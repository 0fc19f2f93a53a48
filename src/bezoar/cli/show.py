"""What commands print. Whatever a model or a corpus wrote is masked and made harmless first."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook
from rich.measure import Measurement
from rich.segment import Segment

from bezoar.masking import for_display, mask

if TYPE_CHECKING:
    from bezoar.runs import Progress


class _Harmless:
    """A renderable whose text is masked, and can neither command the terminal nor reorder it.

    This is the last gate: rich lays tables out from hostile strings, and only what comes out of it
    is certain to be all that is printed.
    """

    def __init__(self, renderable: Any, unmask: bool) -> None:
        self._renderable = renderable
        self._unmask = unmask

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for segment in console.render(self._renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(for_display(segment.text, unmask=self._unmask), segment.style)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement.get(console, options, self._renderable)


class _Gate(RenderHook):
    def __init__(self, unmask: bool) -> None:
        self._unmask = unmask

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Harmless(renderable, self._unmask) for renderable in renderables]


def console(*, unmask: bool = False, stderr: bool = False) -> Console:
    """A console that prints nothing hostile. Markup is off: text in brackets is text."""
    made = Console(stderr=stderr, markup=False, highlight=False, emoji=False)
    made.push_render_hook(_Gate(unmask))
    return made


def show(result: object, *, as_json: bool, unmask: bool = False) -> None:
    """Print a result as a table, or as one JSON document."""
    if as_json:
        from bezoar.runs.results import to_plain

        plain = result if isinstance(result, (dict, list, str)) else to_plain(result)
        document = json.dumps(_masked(plain, unmask), indent=1, sort_keys=True)
        sys.stdout.write(document + "\n")
    else:
        console(unmask=unmask).print(result, soft_wrap=isinstance(result, str))


def progress(quiet: bool, as_json: bool) -> Progress:
    """Bars on standard error, unless silence was asked for."""
    from bezoar.runs.progress import Progress

    return Progress(quiet=quiet or as_json)


def _masked(value: Any, unmask: bool) -> Any:
    if isinstance(value, str):
        return mask(value, unmask=unmask)
    if isinstance(value, dict):
        return {mask(str(key), unmask=unmask): _masked(v, unmask) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_masked(inner, unmask) for inner in value]
    return value
