"""Figures as SVG files, light and dark, drawn by a headless Chromium (no network)."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from bezoar.errors import BezoarError
from bezoar.report import theme

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
_SCRIPT = """
(async () => {
  for (const [name, figure] of Object.entries(FIGURES)) {
    const url = await Plotly.toImage(figure, {format: 'svg', ...figure.size});
    const line = document.createElement('pre');
    line.textContent = '@@' + name + ' ' + url;
    document.body.append(line);
  }
})();
"""


def write_images(figures: Mapping[str, Any], folder: Path, width: int) -> None:
    """Write ``NAME-light.svg`` and ``NAME-dark.svg`` of every figure.

    Raises:
        BezoarError: if no Chromium is found, or it drew fewer figures than it was given.
    """
    drawn = _draw(figures, width)
    wanted = {f"{name}-{mode}" for name in figures for mode in ("light", "dark")}
    if missing := wanted - set(drawn):
        raise BezoarError(f"Chromium did not draw {sorted(missing)}.", hint="Run it once more.")
    folder.mkdir(parents=True, exist_ok=True)
    for name, svg in drawn.items():
        (folder / f"{name}.svg").write_text(svg, encoding="utf-8")


def _draw(figures: Mapping[str, Any], width: int) -> dict[str, str]:
    from plotly.offline import get_plotlyjs

    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if browser is None:
        raise BezoarError("There is no Chromium to draw with.", hint="Install it, or --no-figures.")
    themed = {}
    for name, figure in figures.items():
        plain = json.loads(figure.to_json())
        size = {"width": width, "height": plain["layout"]["height"]}
        for mode in ("light", "dark"):
            template = theme.template(mode).to_plotly_json()
            layout = plain["layout"] | {"template": template}
            themed[f"{name}-{mode}"] = plain | {"layout": layout, "size": size}
    data = json.dumps(themed).replace("</", "<\\/")
    page = f"<!doctype html><meta charset=utf-8><script>{get_plotlyjs()}</script><body><script>"
    page += f"const FIGURES = {data};{_SCRIPT}</script>"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures.html"
        file.write_text(page, encoding="utf-8")
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
        command += ["--virtual-time-budget=60000", f"--user-data-dir={folder}/profile"]
        found = subprocess.run(
            [*command, file.as_uri()], capture_output=True, text=True, timeout=300
        )
    lines = re.findall(r"@@([\w-]+) data:image/svg\+xml,(.*?)</pre>", found.stdout, re.DOTALL)
    return {name: _settled(unquote(svg)) for name, svg in lines}


def _settled(svg: str) -> str:
    """The same bytes for the same figure (plotly names clips by a random word), and fewer."""
    named = re.compile(r"\b(clip|defs-|topdefs-|legend|trace|g)([0-9a-f]{6})(?![0-9a-f])")
    number = {found[2]: index for index, found in enumerate(named.finditer(svg))}
    svg = named.sub(lambda found: f"{found[1]}{number[found[2]]:06d}", svg)
    svg = re.sub(r"\d+\.\d{3,}", lambda found: f"{float(found[0]):.2f}", svg)
    return svg.rstrip() + "\n"
