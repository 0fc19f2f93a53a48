"""The page: self-contained, complete, and deaf to what hostile texts ask of it."""

from __future__ import annotations

import codecs
import dataclasses
import itertools
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bezoar.errors import ConfigError, CorruptArtefact, RunError, StoreError
from bezoar.report import render as render_module
from bezoar.report import write_report
from bezoar.runs import AuditConfig, Run
from bezoar.runs.results import save_json, save_result
from tests.report import specimens
from tests.report.specimens import write_run

SLUR = codecs.decode("shpxre", "rot13")
HOSTILE = (
    "</script><script>alert(1)</script>"
    "<img src=x onerror=alert(1)>{{ 7*7 }}{% raw %}<!--"
    "\x1b[31m\x00\u202e\u2028'\"`&amp;]]>"
    f" {SLUR}"
)
VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(HTMLParser):
    """Elements, their attributes and the text of a page; complains of bad nesting."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append((dict(attrs), ""))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "script":
            attrs, text = self.scripts[-1]
            self.scripts[-1] = (attrs, text + data)
        elif self._open and self._open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.texts)

    def data(self) -> list[dict]:
        return [json.loads(text) for attrs, text in self.scripts if "type" in attrs]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def page(run: Path) -> Page:
    return Page(write_report(run).read_text("utf-8"))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Page]:
    names = ("token", "text", "prompt", "model", "source")
    folder = write_run(tmp_path_factory.mktemp("hostile"), **dict.fromkeys(names, HOSTILE))
    html = write_report(folder).read_text("utf-8")
    return html, Page(html)


def without_plotly(html: str) -> str:
    return html.replace(render_module.plotly_script(), "")


def test_it_loads_nothing_and_is_small(run: Path, page: Page) -> None:
    assert write_report(run).stat().st_size < 8_000_000
    for _, attributes in page.elements:
        for name in ("src", "href", "srcset", "data", "poster", "action", "xlink:href"):
            assert not attributes.get(name) or attributes[name].startswith("#")
    css = render_module.template_file("report.css")
    assert "url(" not in css
    assert "@import" not in css
    policy = next(a["content"] for _, a in page.elements if a.get("http-equiv"))
    assert policy.startswith("default-src 'none'")
    assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]


def test_only_the_pages_own_scripts_may_run(page: Page) -> None:
    import base64
    import hashlib

    policy = next(a["content"] for _, a in page.elements if a.get("http-equiv"))
    running = [text for attributes, text in page.scripts if "type" not in attributes]
    assert len(running) == 2
    for text in running:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


def test_headings_descend_and_every_picture_is_described(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels))
    pictures = [a for _, a in page.elements if a.get("role") == "img"]
    assert len(pictures) >= 7
    assert all(len(a["aria-label"]) > 20 for a in pictures)
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    targets = [a["href"][1:] for tag, a in page.elements if tag == "a"]
    assert set(targets) <= set(ids)


def test_the_verdict_says_what_the_scorecard_says(page: Page) -> None:
    assert "0.342 [0.311, 0.373]" in page.text
    assert "subtract probe" in page.text
    assert "p = 0.002" in page.text
    assert "demo-b#9f2c51d0" in page.text


def test_a_fine_tune_is_held_against_its_base(page: Page) -> None:
    assert "Against demo-base, the model it was tuned from, it is more toxic: +0.052" in page.text


def test_every_metric_names_its_protocol(page: Page) -> None:
    for protocol in ("LEE@200", "ppl-windows-1024", "kl-32", "f1-32-20", "ppl-ratio", "last-word"):
        assert protocol in page.text


def test_hostile_texts_are_only_texts(hostile: tuple[str, Page], page: Page) -> None:
    html, seen = hostile
    assert [tag for tag, _ in seen.elements if tag == "script"] == [
        tag for tag, _ in page.elements if tag == "script"
    ]
    assert not any(tag == "img" for tag, _ in seen.elements)
    assert not any(name.startswith("on") for _, attributes in seen.elements for name in attributes)
    assert "<script>alert(1)</script>" in seen.text  # shown, not run
    assert "{{ 7*7 }}" in seen.text
    assert not set("\x1b\x00\u202e\u2028") & set(without_plotly(html))
    assert "␛[31m" in seen.text
    assert len(seen.data()) == len(page.data())  # every figure is still whole JSON


def test_labels_of_pictures_carry_no_markup(hostile: tuple[str, Page]) -> None:
    for figure in hostile[1].data()[1:]:
        text = json.dumps(figure, ensure_ascii=False).replace("<extra>", "").replace("</extra>", "")
        assert not re.search(r"<(?!br>)", text)


def test_masked_words_are_not_in_the_file(hostile: tuple[str, Page]) -> None:
    html, seen = hostile
    assert SLUR not in without_plotly(html).lower()
    assert SLUR[0] + "****" + SLUR[-1] in seen.text


def test_unmasked_texts_are_there_and_hidden_until_asked_for(tmp_path: Path) -> None:
    folder = write_run(tmp_path, text=f"a {SLUR}", token=f" {SLUR}")
    html = write_report(folder, unmask=True).read_text("utf-8")
    raw = [a for tag, a in Page(html).elements if a.get("class") == "raw"]
    assert raw
    assert f'<span class="masked">a {SLUR[0]}****{SLUR[-1]}</span>' in html
    assert f'<span class="raw">a {SLUR}</span>' in html
    assert 'id="reveal"' in html
    assert any(a.get("class") == "raw-figure" for _, a in Page(html).elements)
    assert ".raw { display: none; }" in html


def test_prompts_that_the_protocol_cuts_are_told_with_the_data(page: Page) -> None:
    assert page.text.count("Mind: 3 of 200 prompts are too long: x.") == 1
    assert "prompts that are cut" not in page.text


def test_a_part_that_is_missing_is_a_sentence(run: Path, tmp_path: Path) -> None:
    audit = json.loads((run / "audit.json").read_text())
    save_json(tmp_path / "audit.json", audit)
    text = Page(write_report(tmp_path).read_text("utf-8")).text
    for sentence in ("did not look at its texts", "No remedy was compared", "made no logit lens"):
        assert sentence in text


def test_an_audit_without_a_best_says_so(tmp_path: Path) -> None:
    folder = write_run(tmp_path)
    audit = json.loads((folder / "audit.json").read_text())
    save_json(folder / "audit.json", audit | {"best": None})
    assert "no remedy to export" in Page(write_report(folder).read_text("utf-8")).text


def test_an_empty_or_damaged_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="nothing to report"):
        write_report(tmp_path)
    folder = write_run(tmp_path / "run")
    (folder / "evaluate" / "scorecard.json").write_text("{")
    with pytest.raises(CorruptArtefact, match="scorecard"):
        write_report(folder)
    (folder / "audit.json").write_text("[]")
    with pytest.raises(CorruptArtefact, match="audit"):
        write_report(folder)


def test_what_was_guessed_or_ignored_while_reading_is_told(tmp_path: Path) -> None:
    notes = ("text column 'body', found by its name", "column 'split' ('x') not used: name it")
    seen = dataclasses.replace(specimens.exploration(), notes=notes)
    save_result(write_run(tmp_path) / "explore" / "exploration.json", seen)
    text = Page(write_report(tmp_path).read_text("utf-8")).text
    assert f"As they were read: {'; '.join(notes)}." in text


def test_a_report_tells_only_what_a_finished_stage_wrote(tmp_path: Path) -> None:
    with Run.open(tmp_path / "run", AuditConfig()) as opened, opened.stage("evaluate") as stage:
        save_result(stage.folder / "scorecard.json", specimens.scorecard())
    card = tmp_path / "run" / "evaluate" / "scorecard.json"
    write_report(tmp_path / "run")
    card.write_bytes(card.read_bytes().replace(b"0.139", b"0.039"))
    with pytest.raises(CorruptArtefact, match=r"scorecard\.json was altered"):
        write_report(tmp_path / "run")


@pytest.mark.parametrize(
    ("name", "text", "error", "said"),
    [
        ("environment.json", '[1, {"python": "3.11"}, null]', CorruptArtefact, "no environments"),
        ("environment.json", "[" * 100_000, CorruptArtefact, "is not JSON"),
        ("audit.json", "[" * 100_000, CorruptArtefact, "is not JSON"),
        ("config.yaml", "a: [", ConfigError, "is not YAML"),
    ],
)
def test_what_is_damaged_beside_the_stages_is_named(
    tmp_path: Path, name: str, text: str, error: type[Exception], said: str
) -> None:
    (write_run(tmp_path) / name).write_text(text)
    with pytest.raises(error, match=rf"{name}.* {said}"):
        write_report(tmp_path)


def test_a_page_too_large_is_refused(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render_module, "LIMIT_BYTES", 1000)
    with pytest.raises(StoreError, match="over the limit"):
        write_report(run)


def test_equal_runs_give_equal_bytes(run: Path) -> None:
    assert write_report(run).read_bytes() == write_report(run).read_bytes()


def test_every_kind_of_probe_is_beside_the_best_site(page: Page) -> None:
    for kind in ("mean difference", "LDA"):
        best = specimens.sweep().best_of(kind)
        assert best is not None
        assert f"{kind} probe: {best.site}" in page.text
    assert "Other kinds of probe at all sites" in page.text


def test_both_lenses_and_who_writes_the_tokens_are_shown(page: Page) -> None:
    assert "all states share the last one's scale" in page.text
    assert "less that of the average token" in page.text
    assert "of all MLP neurons, the 4 whose updates add most" in page.text
    assert "‘·moss’ ‘·damp’ ‘wet’" in page.text


def test_failed_fits_and_bent_costs_are_said(page: Page) -> None:
    assert "No strength costs so little." in page.text
    assert "cost fell somewhere as strength rose for project out probe" in page.text
    assert "no strength met the budget" in page.text


def test_a_run_of_before_has_a_page_too(tmp_path: Path) -> None:
    folder = write_run(tmp_path)
    for name in ("frozen", "components", "writers"):
        (folder / "lens" / f"{name}.json").unlink()
    text = Page(write_report(folder).read_text("utf-8")).text
    assert "The components that raise the probability most." in text
    assert "Direct attribution" not in text


def test_the_applied_chat_template_is_shown_and_only_text(tmp_path: Path) -> None:
    folder = write_run(tmp_path)
    about = json.loads((folder / "audit.json").read_text())
    example = {"prompt": "The <b>river", "wrapped": "<|user|>\nThe <b>river\n<|assistant|>\n"}
    save_json(
        folder / "audit.json", about | {"chat example": example, "licences": {"model": "mit"}}
    )
    page = Page(write_report(folder).read_text("utf-8"))
    assert "<|user|>\nThe <b>river" in page.text
    assert "b" not in {tag for tag, _ in page.elements}
    assert "licence of the model" in page.text
