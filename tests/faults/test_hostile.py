"""A run on texts, names and files that are all hostile: nothing they say happens anywhere."""

from __future__ import annotations

import json
import random
import re
import shutil
from pathlib import Path

import pytest

from bezoar.report import write_report
from bezoar.report.render import plotly_script
from bezoar.runs import AuditConfig, load_config, parse_config
from bezoar.studies.audit import run_stages
from tests.report.test_page import Page

bezoar_demo = pytest.importorskip("bezoar_demo")

HOSTILE = (
    "<script>alert(1)</script>",
    '<img src=x onerror="alert(1)">',
    "</script><script>alert(1)</script>",
    "{{ 7*7 }} {% raw %}{# x #}${7*7}",
    "\x1b[2J\x1b[31mred\x1b]8;;http://evil\x07link\x1b]8;;\x07",
    "\u202egnp.exe\u202c \u2066x\u2069",
    "\0\x08\x7f\x9b31m",
    "[red]bold[/red] [link=http://evil]x[/link]",
    "a\u200bb\ufeffc",
    "W" * 3000,
    "<!-- --> ]]> <svg onload=alert(1)>",
    '<a href="javascript:alert(1)">x</a>',
    "`code` **bold** ![x](http://evil/x.png) | a | b |\n---\n# head",
    "%{x} <extra>x</extra> <b>bold</b><br>",
    "&lt;script&gt;&#60;script&#62;\u2028",
)
NAME = "<img src=x onerror=alert(1)>{{7*7}}[red]\u202e`x`\x1b[31m"
COMMANDS = set("\x1b\x00\x07\x08\x7f\x9b\u202e\u2066\u2028\u200b\ufeff")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An explored run whose corpus, model, folder and title are hostile, with its report."""
    root = tmp_path_factory.mktemp("hostile")
    rng = random.Random(0)
    words = "good bad river stone hate calm tree sky dumb kind".split()  # noqa: SIM905

    def text(i: int) -> str:
        return " ".join([*rng.choices(words, k=7), HOSTILE[i % len(HOSTILE)], *rng.choices(words)])

    rows = [
        {"text": text(i), "label": i // 3 % 2, "source": HOSTILE[i % 4], "category": HOSTILE[i % 5]}
        for i in range(180)
    ]
    (root / f"{NAME}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    prompts = ({"prompt": text(i)} for i in range(60))
    (root / f"p{NAME}.jsonl").write_text("\n".join(map(json.dumps, prompts)))
    (root / f"n{NAME}.txt").write_text(
        "\n".join(text(i)[:300].replace("\n", " ") for i in range(90))
    )
    shutil.copytree(bezoar_demo.model_path(), root / f"m{NAME}")
    config = parse_config(
        AuditConfig,
        {
            "out": str(root / "run"),
            "threads": 1,
            "model": {"name": str(root / f"m{NAME}")},
            "data": {
                "data": str(root / f"{NAME}.jsonl"),
                "prompts": str(root / f"p{NAME}.jsonl"),
                "neutral": str(root / f"n{NAME}.txt"),
                "source": "source",
                "text": "text",
                "limit": 150,
                "neutral_tokens": 600,
            },
            "mitigate": {"select_prompts": 12},
            "evaluate": {"protocol": "LEE@16"},
            "report": {"title": NAME},
        },
    )
    run_stages(config, "explore")
    write_report(root / "run")
    return root / "run"


def test_nothing_of_it_is_markup_in_the_page(run: Path) -> None:
    html = (run / "report.html").read_text("utf-8")
    page = Page(html)
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"img", "svg", "iframe", "b", "extra"}
    for _, attributes in page.elements:
        assert not any(name.startswith("on") for name in attributes)
        assert not any("javascript:" in (value or "") for value in attributes.values())
    running = [text for attributes, text in page.scripts if "type" not in attributes]
    assert len(running) == 2
    assert "alert" not in running[1]
    assert "<img src=x onerror=alert(1)>{{7*7}}[red]" in page.text  # shown, not acted on
    assert not COMMANDS & set(html.replace(plotly_script(), ""))
    for figure in page.data()[1:]:
        labels = json.dumps(figure, ensure_ascii=False).replace("<extra></extra>", "")
        assert not re.search(r"<(?!br>)", labels)


def test_a_word_without_end_does_not_fill_the_page(run: Path) -> None:
    assert not re.search("W{301}", Page((run / "report.html").read_text("utf-8")).text)
    words = json.loads((run / "explore" / "exploration.json").read_text())["vocabulary"]["marks"]
    assert "W" * 40 + "…" in {mark["word"].upper() for side in words for mark in side}


def test_its_files_are_json_without_control_characters(run: Path) -> None:
    files = [path for path in run.rglob("*.json*") if path.is_file()]
    assert files
    for path in files:
        data = path.read_bytes()
        assert all(byte >= 32 or byte == 10 for byte in data)
        for line in data.split(b"\n") if path.suffix == ".jsonl" else [data]:
            assert not line or json.loads(line) is not None


def test_no_text_commands_the_terminal(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from bezoar.cli.show import show
    from bezoar.corpus import Exploration
    from bezoar.runs import load_result

    seen = load_result(run / "explore" / "exploration.json", Exploration)
    for as_json in (False, True):
        show(seen, as_json=as_json)
        show(HOSTILE, as_json=True)
        out = capfd.readouterr().out
        assert out
        assert not COMMANDS & set(out)
        assert "[red]" in out  # markup is text
    show(seen, as_json=True)
    assert json.loads(capfd.readouterr().out)["n"] == seen.n


def test_every_row_of_it_is_accounted_for(run: Path) -> None:
    seen = json.loads((run / "explore" / "exploration.json").read_text())
    assert seen["rows"] == 180 == seen["n"] + sum(seen["left_out"].values())
    texts = json.loads((run / "explore" / "texts.json").read_text())
    assert texts["dropped"] == seen["left_out"]


def test_prompts_that_are_cut_are_counted_and_the_side_is_said(run: Path) -> None:
    config = load_config(run / "config.yaml", AuditConfig, {"out": str(run)})
    notes = " ".join(run_stages(config, "explore").notes)
    assert re.search(r"\d+ of \d+ prompts cut by LEE to their first 32 tokens", notes)
