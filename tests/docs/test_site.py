"""The site builds without a warning: no dead link, no page outside the navigation."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.docs.pages import ROOT


def test_every_room_has_a_page_of_its_api():
    rooms = {path.parent.name for path in (ROOT / "src" / "bezoar").glob("*/__init__.py")}
    pages = {path.stem for path in (ROOT / "docs" / "api").glob("*.md")}
    assert rooms - {"cli", "studies"} <= pages


@pytest.mark.slow
def test_the_site_builds_strictly_and_calls_nobody(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr[-3000:]
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        assert 'src="http' not in page.read_text(), f"{page.name} loads something from elsewhere"
