"""Blocks → HTML files that load nothing from afar, and in which no text can act.

Every text passes ``finalize`` (masked, control characters made visible) and jinja's autoescape;
figures pass as JSON with ``<``, ``>`` and ``&`` escaped; and the page's content security policy
allows no network at all and only the scripts whose hashes are named in it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from importlib.metadata import version
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup, escape

from bezoar.errors import StoreError
from bezoar.masking import for_display
from bezoar.report import theme
from bezoar.report.blocks import Picture, Section, Verdict

LIMIT_BYTES = 8_000_000
REPORT = "report.html"


def render(
    *,
    title: str,
    subtitle: str,
    verdict: Verdict,
    sections: Sequence[Section],
    unmask: bool = False,
    brand: str = "bezoar audit",
) -> str:
    """The page as HTML.

    Args:
        title: the heading.
        subtitle: the line under it.
        verdict: the top box.
        sections: in order.
        unmask: also carry the texts as they are, shown when the reader asks for it.
        brand: what made it, above the heading.

    Raises:
        StoreError: if the page would be larger than 8 MB.
    """
    return standalone(
        "report.html.j2",
        styles=["report.css"],
        scripts=[plotly_script(), template_file("report.js")],
        limit=LIMIT_BYTES,
        too_large="Show fewer examples (evaluate.continuations) or fewer lens prompts.",
        unmask=unmask,
        brand=brand,
        title=title,
        subtitle=subtitle,
        verdict=verdict,
        sections=sections,
        themes=_themes(),
        drawings=partial(_drawings, unmask=unmask),
    )


def standalone(
    template: str,
    *,
    styles: Sequence[str],
    scripts: Sequence[str],
    limit: int,
    too_large: str,
    unmask: bool,
    **values: Any,
) -> str:
    """A page that is one file: its styles and scripts in it, and no others allowed by its policy.

    Args:
        template: one of the files in ``templates``.
        styles: names of style sheets there.
        scripts: sources of the scripts.
        limit: bytes that the page may have.
        too_large: what to do if it has more.
        unmask: also carry texts as they are.
        **values: what the template names.

    Raises:
        StoreError: if the page would be larger than ``limit``.
    """
    html = (
        _environment(unmask)
        .get_template(template)
        .render(
            **values,
            unmask=unmask,
            version=version("bezoar"),
            css=Markup("".join(map(template_file, styles))),
            scripts=[Markup(script) for script in scripts],
            policy=Markup(_policy(scripts)),
        )
    )
    if (size := len(html.encode())) > limit:
        raise StoreError(
            f"The page would have {size / 1e6:.1f} MB, over the limit of {limit / 1e6:g}.",
            hint=too_large,
        )
    return html


def figure_json(figure: Any, *, unmask: bool = False) -> dict[str, Any]:
    """A figure's data and layout without its template, every string in it fit to be shown."""
    plain = json.loads(figure.to_json())
    plain["layout"].pop("template", None)
    shown: dict[str, Any] = _map_strings(plain, partial(for_display, unmask=unmask))
    return shown


def figure_page(picture: Picture, *, version: str, unmask: bool = False) -> str:
    """One picture as an HTML page that needs ``plotly.min.js`` and ``figure.js`` beside it.

    Its policy allows scripts from files of its own folder and none in the page.
    """
    caption, description = (
        Markup(escape(for_display(text, unmask=unmask)))
        for text in (picture.caption, picture.description)
    )
    page = _environment(False).get_template("figure.html.j2")
    return page.render(
        caption=caption,
        description=description,
        figure=figure_json(picture.figure, unmask=unmask),
        css=Markup(template_file("report.css")),
        themes=_themes(),
        version=version,
    )


@lru_cache(maxsize=1)
def _themes() -> dict[str, Any]:
    return {mode: theme.template(mode).to_plotly_json() for mode in ("light", "dark")}


def _drawings(figure: Any, *, unmask: bool) -> list[dict[str, Any]]:
    masked = figure_json(figure)
    if unmask and (raw := figure_json(figure, unmask=True)) != masked:
        return [masked, raw]
    return [masked]


def _map_strings(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):  # long ones are of numbers: no call for each of them
        return [
            item if isinstance(item, (int, float)) else _map_strings(item, change) for item in value
        ]
    if isinstance(value, dict):
        return {key: _map_strings(item, change) for key, item in value.items()}
    return value


@lru_cache(maxsize=2)
def _environment(unmask: bool) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(template_file),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=partial(_finalize, unmask=unmask),
        trim_blocks=True,
    )
    environment.filters["attribute"] = lambda text: escape(for_display(str(text)))
    return environment


def _finalize(value: Any, *, unmask: bool) -> Any:
    """What an expression becomes. Without ``unmask`` the raw text never enters the page."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    masked = for_display(value)
    if not unmask or masked == (raw := for_display(value, unmask=True)):
        return masked
    pair = '<span class="masked">{}</span><span class="raw">{}</span>'
    return Markup(pair).format(masked, raw)


def template_file(name: str) -> str:
    """One of the files in ``templates``."""
    return files("bezoar.report").joinpath("templates", name).read_text("utf-8")


@lru_cache(maxsize=1)
def plotly_script() -> str:
    """The whole of plotly.js."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def _policy(scripts: Sequence[str]) -> str:
    digests = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
