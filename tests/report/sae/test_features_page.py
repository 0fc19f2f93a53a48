"""The page of latents: complete, small, masked, and deaf to what hostile texts ask of it."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bezoar.errors import StoreError
from bezoar.report import render as render_module
from bezoar.report.sae import features_page
from bezoar.report.sae.compact import LEVELS, Size, around, as_script, compact, pieces_for_display
from bezoar.report.sae.features_page import write_features_page
from tests.report.sae.specimens import CATEGORIES, SOURCES, cards, table
from tests.report.test_page import HOSTILE, SLUR, Page

WHOLE = Size(prompts=8, window=64)


def write(folder: Path, *, unmask: bool = False, **changes: object) -> str:
    of = table()
    made = cards(of, **changes)  # type: ignore[arg-type]
    path = write_features_page(folder, made, of, title="Latents", subtitle="demo", unmask=unmask)
    return path.read_text("utf-8")


def test_every_latent_is_there_under_its_own_number_with_its_own_numbers() -> None:
    of = table()
    made = cards(of)[::-1]
    data = compact(made, of, WHOLE)
    assert [one["id"] for one in data["latents"]] == [card.id for card in made]
    places = {latent: i for i, latent in enumerate(of.id)}
    assert not any(latent == i for latent, i in places.items())
    for one in data["latents"]:
        told = dict(zip((key for key, *_ in data["columns"]), one["v"], strict=True))
        assert told["auroc"] == pytest.approx(of.auroc[places[one["id"]]], rel=1e-3)
        assert told["contribution"] == pytest.approx(of.contribution[places[one["id"]]], rel=1e-3)


def test_all_that_is_searched_is_there() -> None:
    of = table()
    made = [replace(card, tokens=dict(sorted(card.tokens.items()))) for card in cards(of)]
    data = compact(made, of, WHOLE)
    assert data["categories"] == sorted(CATEGORIES)
    assert data["sources"] == sorted(SOURCES)
    assert data["scores"] == ["mean", "tf-idf", "bm25"]
    for card, one in zip(made, data["latents"], strict=True):
        for score, tokens in zip(data["scores"], one["t"], strict=True):
            said = [token.replace("·", " ") for token, _ in tokens]
            assert said == [token for token, _ in card.tokens[score]]
        assert [token.replace("·", " ") for token in one["u"]] == list(card.promoted)
        assert ["".join(prompt[7]) for prompt in one["p"]] == [p.text for p in card.prompts]
        for name, value in zip(data["categories"], one["c"], strict=True):
            assert value == pytest.approx(card.per_category[name], rel=1e-3)


def test_a_token_is_lit_by_its_share_of_the_highest_and_never_dark_where_active() -> None:
    of = table()
    (card, *_) = cards(of)
    prompt = card.prompts[0]
    told = compact([card], of, WHOLE)["latents"][0]["p"][0]
    most = max(prompt.activations)
    assert told[2] == pytest.approx(most, rel=1e-3)
    for value, letter in zip(prompt.activations, told[8], strict=True):
        level = LEVELS.index(letter)
        assert (level > 0) == (value > 0)
        assert level / 63 == pytest.approx(value / most, abs=1 / 63)


@given(st.integers(1, 200), st.integers(1, 64), st.data())
def test_a_window_holds_the_highest_token(n: int, window: int, data: st.DataObject) -> None:
    top = data.draw(st.integers(0, n - 1))
    first, last = around([float(i == top) for i in range(n)], window)
    assert 0 <= first <= top < last <= n
    assert last - first == min(n, window)


@given(st.lists(st.text(max_size=12), max_size=12))
def test_tokens_keep_their_borders_when_they_are_masked(tokens: list[str]) -> None:
    shown = pieces_for_display(tokens)
    assert list(map(len, shown)) == list(map(len, tokens))


def test_a_word_of_several_tokens_is_masked() -> None:
    halves = ("You ", SLUR[:2], SLUR[2:], " there")
    shown = pieces_for_display(halves)
    assert SLUR not in "".join(shown)
    assert shown[1] + shown[2] == SLUR[0] + "*" * (len(SLUR) - 2) + SLUR[-1]
    assert pieces_for_display(halves, unmask=True) == list(halves)


def test_what_is_cut_is_said() -> None:
    of = table()
    (card, *_) = cards(of)
    long = replace(card, prompts=(replace(card.prompts[0], first=3, length=90),))
    before, after = compact([long], of, WHOLE)["latents"][0]["p"][0][5:7]
    assert (before, after) == (1, 1)
    cut = compact([card], of, Size(prompts=2, window=10))["latents"][0]["p"]
    assert len(cut) == 2
    assert all(len(prompt[7]) == len(prompt[8]) == 10 for prompt in cut)
    assert all(prompt[5] or prompt[6] for prompt in cut)


def test_statistics_that_were_not_taken_have_no_column() -> None:
    of = table(probe=False)
    keys = [key for key, *_ in compact(cards(of), of, WHOLE)["columns"]]
    assert "probe_cosine" not in keys
    assert "auroc" in keys


def test_it_loads_nothing_and_runs_only_its_own_script(tmp_path: Path) -> None:
    html = write(tmp_path)
    page = Page(html)
    for _, attributes in page.elements:
        for name in ("src", "href", "srcset", "action"):
            assert not attributes.get(name) or attributes[name].startswith("#")
    policy = next(a["content"] for _, a in page.elements if a.get("http-equiv"))
    assert policy.startswith("default-src 'none'")
    (script,) = [text for attributes, text in page.scripts if "type" not in attributes]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in policy
    assert "innerHTML" not in script
    css = render_module.template_file("features.css")
    assert "url(" not in css
    assert "@import" not in css


def test_hostile_texts_stay_texts(tmp_path: Path) -> None:
    html = write(tmp_path, text=HOSTILE)
    page = Page(html)
    assert [tag for tag, _ in page.elements].count("script") == 2
    assert "<img" not in html
    assert "onerror=alert(1)>" not in html
    assert SLUR not in html
    for sign in ("\x1b", "\x00", "\u202e", "\u2028"):
        assert sign not in html
    (data,) = page.data()
    assert "<img src=x" in "".join(data["latents"][0]["p"][0][7])


def test_the_texts_as_they_are_come_only_when_asked_for(tmp_path: Path) -> None:
    page = Page(write(tmp_path, text=SLUR, unmask=True))
    masked, raw = page.data()
    assert SLUR not in str(masked)
    assert SLUR in str(raw)
    assert any(a.get("id") == "reveal" for _, a in page.elements)
    innocent = Page(write(tmp_path, unmask=True))
    assert len(innocent.data()) == 1
    assert not any(a.get("id") == "reveal" for _, a in innocent.elements)


def test_five_hundred_latents_fit_and_no_more_are_drawn(tmp_path: Path) -> None:
    of = table(600)
    many = cards(of, 520)
    path = write_features_page(tmp_path, many, of, title="Latents", subtitle="")
    assert path.stat().st_size < 5_000_000
    (data,) = Page(path.read_text("utf-8")).data()
    assert [one["id"] for one in data["latents"]] == [card.id for card in many[:500]]
    assert data["of"] == 600


def test_long_texts_are_cut_before_the_page_is_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = table()
    full = len(as_script(compact(cards(of), of, WHOLE)).encode())
    monkeypatch.setattr(features_page, "LIMIT_BYTES", features_page._ROOM + full // 2)
    page = Page(write(tmp_path))
    (data,) = page.data()
    assert len(data["latents"]) == len(cards(of))
    assert 0 < len(data["latents"][0]["p"]) < 8
    monkeypatch.setattr(features_page, "LIMIT_BYTES", 1_000)
    with pytest.raises(StoreError, match="over the limit"):
        write(tmp_path)


def test_every_control_is_named_and_the_script_knows_every_element(tmp_path: Path) -> None:
    html = write(tmp_path, text=SLUR, unmask=True)
    page = Page(html)
    ids = {a["id"] for _, a in page.elements if "id" in a}
    script = next(text for attributes, text in page.scripts if "type" not in attributes)
    asked = set(re.findall(r'\$\("([\w-]+)"\)', script))
    assert asked <= ids
    labelled = re.findall(r"<label[^>]*>.*?</label>", html, flags=re.S)
    controls = re.findall(r'<(?:input|select) id="(\w+)"', "".join(labelled))
    assert set(controls) == {"query", "where", "group", "sort", "score"}
