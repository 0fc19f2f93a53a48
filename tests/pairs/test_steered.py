"""Steering: the shift is what it says, its sign is the side, and nothing else differs."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from bezoar.edits import ActivationEdit, Add
from bezoar.errors import ConfigError, DataError, EditError, SiteError
from bezoar.locate import Direction
from bezoar.models import Decoding, generate
from bezoar.pairs import Pairs, mean_norms, steered_pairs

PROMPTS = (
    "the fool is not so good",
    "a tree",
    "I think that you will know the river",
    "She said so",
    "you",
)
GREEDY = Decoding(max_new_tokens=8)
SAMPLED = Decoding(max_new_tokens=8, sample=True, top_p=0.95, seed=3)
STRONG = 1.5


def direction(lm, site: str = "1.resid_post", seed: int = 0) -> Direction:
    place = lm.site(site)
    raw = torch.randn(lm.site_width(place), generator=torch.Generator().manual_seed(seed))
    return Direction.of(raw, place, name="random")


def by_prompt(pairs: Pairs) -> dict[str, tuple[str, str]]:
    sides = zip(pairs.chosen, pairs.rejected, strict=True)
    return dict(zip(pairs.prompts, sides, strict=True))


def alone(lm, prompt: str, shift: torch.Tensor, decoding: Decoding, positions: str = "all") -> str:
    """One side, by an ordinary edit and the ordinary generation, one prompt at a time."""
    edit = ActivationEdit.at([lm.site("1.resid_post")], Add(shift), positions)
    with edit.applied_to(lm):
        return generate(lm, [prompt], decoding).text[0]


@pytest.mark.parametrize("decoding", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
def test_each_side_is_what_an_ordinary_edit_of_that_sign_writes_alone(lm, decoding):
    d = direction(lm)
    made = steered_pairs(lm, PROMPTS, d, alpha=STRONG, decoding=decoding)
    shift = STRONG * mean_norms(lm, PROMPTS, [d.site])[d.site] * d.vector
    assert len(made) >= 3
    for prompt, (chosen, rejected) in by_prompt(made).items():
        assert chosen == alone(lm, prompt, -shift, decoding)
        assert rejected == alone(lm, prompt, shift, decoding)


def test_last_positions_are_those_of_an_ordinary_edit(gpt2):
    d = direction(gpt2)
    made = steered_pairs(gpt2, PROMPTS, d, alpha=STRONG, decoding=GREEDY, positions="last")
    shift = STRONG * mean_norms(gpt2, PROMPTS, [d.site])[d.site] * d.vector
    for prompt, (chosen, rejected) in by_prompt(made).items():
        assert chosen == alone(gpt2, prompt, -shift, GREEDY, "last")
        assert rejected == alone(gpt2, prompt, shift, GREEDY, "last")


def test_the_shift_at_the_site_is_alpha_times_the_mean_norm_along_the_direction(gpt2):
    d, prompt, seen = direction(gpt2), PROMPTS[2], []
    following = gpt2.anatomy.hook_point(gpt2.site("2.resid_pre"))

    def look(module, args, kwargs):
        seen.append((args[0] if args else kwargs["hidden_states"]).clone())

    before = gpt2.capture(gpt2.batch(gpt2.encode([prompt])), [d.site])[d.site][0]
    handle = following.module.register_forward_pre_hook(look, with_kwargs=True)
    try:
        steered_pairs(gpt2, [prompt], d, alpha=STRONG, decoding=GREEDY)
    finally:
        handle.remove()
    # The norms are read without steering, up to the site: what comes first here is the prompt.
    chosen, rejected = seen[0]
    length = STRONG * mean_norms(gpt2, [prompt], [d.site])[d.site]
    torch.testing.assert_close(rejected - before, (length * d.vector).expand_as(before))
    torch.testing.assert_close(chosen - before, (-length * d.vector).expand_as(before))


def test_steering_by_nothing_gives_equal_sides_which_are_dropped_and_counted(gpt2):
    for decoding in (GREEDY, SAMPLED):
        with pytest.raises(DataError, match="0 of 5 pairs kept \\(5 equal sides\\)"):
            steered_pairs(gpt2, PROMPTS, direction(gpt2), alpha=0.0, decoding=decoding)


def test_prompts_again_are_counted_as_duplicates(gpt2):
    once = steered_pairs(gpt2, PROMPTS, direction(gpt2), alpha=STRONG, decoding=GREEDY)
    twice = steered_pairs(gpt2, PROMPTS * 2, direction(gpt2), alpha=STRONG, decoding=GREEDY)
    assert by_prompt(once) == by_prompt(twice)
    assert twice.origin.left_out["duplicate"] == len(once)
    assert twice.origin.rows == 10 == len(twice) + sum(twice.origin.left_out.values())


@pytest.mark.parametrize("decoding", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
def test_the_opposite_sign_swaps_the_sides(gpt2, decoding):
    d = direction(gpt2)
    there, back, turned = (
        steered_pairs(gpt2, PROMPTS, way, alpha=alpha, decoding=decoding)
        for way, alpha in ((d, STRONG), (d, -STRONG), (-d, STRONG))
    )
    assert (back.chosen, back.rejected) == (there.rejected, there.chosen)
    assert (turned.chosen, turned.rejected) == (there.rejected, there.chosen)


@pytest.mark.parametrize("budget", [1, 40, 10_000])
def test_the_size_of_the_batches_changes_nothing(lm, budget):
    d = direction(lm)
    several = dataclasses.replace(SAMPLED, samples=3, max_new_tokens=5)
    whole = steered_pairs(lm, PROMPTS, d, alpha=STRONG, decoding=several)
    parts = steered_pairs(lm, PROMPTS, d, alpha=STRONG, decoding=several, batch_tokens=budget)
    assert parts.hash == whole.hash
    for prompt in PROMPTS[:2]:
        one = steered_pairs(
            lm, [prompt, "river"], d, alpha=STRONG * ratio(lm, d, prompt), decoding=several
        )
        sides = [row for row in rows(one) if row[0] == prompt]
        assert sides == [row for row in rows(whole) if row[0] == prompt]


def rows(pairs: Pairs) -> list[tuple[str, str, str]]:
    return list(zip(pairs.prompts, pairs.chosen, pairs.rejected, strict=True))


def ratio(lm, d: Direction, prompt: str) -> float:
    """What makes the shift on two prompts that on all of them: norms are means of the prompts."""
    return (
        mean_norms(lm, PROMPTS, [d.site])[d.site]
        / mean_norms(lm, [prompt, "river"], [d.site])[d.site]
    )


def test_norms_leave_out_padding_and_first_tokens_and_stand_for_the_stream(gpt2):
    site, writer = gpt2.site("1.resid_post"), gpt2.site("1.mlp_out")
    found = mean_norms(gpt2, PROMPTS, [site, writer], batch_tokens=30)
    values = []
    for ids in gpt2.encode(PROMPTS):
        rows = gpt2.capture(gpt2.batch([ids]), [site])[site][0]
        values += (rows if len(ids) == 1 else rows[1:]).norm(dim=-1).tolist()
    assert found[site] == pytest.approx(sum(values) / len(values), rel=1e-5)
    assert found[writer] == found[site]


def test_steering_a_writer_of_the_stream_is_steering_the_stream(gpt2):
    d = direction(gpt2)
    writer = dataclasses.replace(d, site=gpt2.site("1.mlp_out"))
    there = steered_pairs(gpt2, PROMPTS, d, alpha=STRONG, decoding=GREEDY)
    assert steered_pairs(gpt2, PROMPTS, writer, alpha=STRONG, decoding=GREEDY).hash == there.hash


def test_the_record_says_how_the_pairs_were_made(gpt2, tmp_path):
    d = direction(gpt2)
    made = steered_pairs(gpt2, PROMPTS, d, alpha=STRONG, layers=(0, -1, 2), decoding=SAMPLED)
    made.save(tmp_path / "pairs.parquet")
    record = Pairs.load(tmp_path / "pairs.parquet").provenance
    assert record["model"]["fingerprint"] == gpt2.fingerprint
    assert record["alpha"] == STRONG
    assert list(record["sites"]) == ["0.resid_post", "2.resid_post"]
    assert Decoding(**record["decoding"]) == SAMPLED
    assert record["direction"]["name"] == "random"


def test_the_model_is_as_it_was(gpt2):
    before = generate(gpt2, PROMPTS, GREEDY)
    steered_pairs(gpt2, PROMPTS, direction(gpt2), alpha=STRONG, decoding=GREEDY)
    assert generate(gpt2, PROMPTS, GREEDY) == before


def test_a_shift_that_is_longer_than_the_stream_is_noted(gpt2):
    d = direction(gpt2)
    strong, weak = (
        steered_pairs(gpt2, PROMPTS, d, alpha=alpha, decoding=GREEDY) for alpha in (-STRONG, 1.0)
    )
    assert any("alpha is -1.5: the shift is longer" in note for note in strong.origin.notes)
    assert not any("alpha" in note for note in weak.origin.notes)


def test_what_cannot_be_steered_is_said(gpt2):
    d = direction(gpt2)
    with pytest.raises(DataError, match="no prompt to continue"):
        steered_pairs(gpt2, [], d)
    with pytest.raises(ConfigError, match="alpha=nan is no length"):
        steered_pairs(gpt2, PROMPTS, d, alpha=float("nan"))
    with pytest.raises(ConfigError, match="alpha=1e\\+09 is not between -10 and 10: so long a"):
        steered_pairs(gpt2, PROMPTS, d, alpha=1e9)
    with pytest.raises(ConfigError, match="No layer was named"):
        steered_pairs(gpt2, PROMPTS, d, layers=())
    with pytest.raises(SiteError):
        steered_pairs(gpt2, PROMPTS, d, layers=(99,))
    short = dataclasses.replace(d, vector=torch.ones(3) / 3**0.5)
    with pytest.raises(EditError, match="width 3"):
        steered_pairs(gpt2, PROMPTS, short)


def test_a_prompt_that_would_be_cut_makes_no_pair_and_is_counted(gpt2):
    several = dataclasses.replace(SAMPLED, samples=2)
    room = gpt2.context - several.max_new_tokens
    fits, long = (" tree" * n for n in (room, room + 1))
    assert [len(row) for row in gpt2.encode([fits, long])] == [room, room + 1]
    d = direction(gpt2)
    norms = mean_norms(gpt2, PROMPTS, [d.site])
    options = {"alpha": STRONG, "decoding": several, "norms": norms}
    made = steered_pairs(gpt2, [long, *PROMPTS, long], d, **options)
    without = steered_pairs(gpt2, PROMPTS, d, **options)
    assert made.hash == without.hash
    assert made.origin.left_out == without.origin.left_out | {"long prompt": 4}
    assert made.origin.rows == 14 == len(made) + sum(made.origin.left_out.values())
    assert "long prompt" not in steered_pairs(gpt2, [fits, "you"], d, **options).origin.left_out
    with pytest.raises(DataError, match=f"has {room + 1} tokens, and {room} is the most"):
        steered_pairs(gpt2, [long], d, **options)
    with pytest.raises(ConfigError, match="leave no room for a prompt"):
        endless = dataclasses.replace(SAMPLED, max_new_tokens=gpt2.context)
        steered_pairs(gpt2, PROMPTS, d, decoding=endless)


def test_prompts_beyond_a_limit_of_ones_own_make_no_pair(gpt2):
    options = {"alpha": STRONG, "decoding": GREEDY}
    made = steered_pairs(gpt2, PROMPTS, direction(gpt2), max_prompt_tokens=3, **options)
    short = [p for p, row in zip(PROMPTS, gpt2.encode(PROMPTS), strict=True) if len(row) <= 3]
    assert 0 < len(short) < len(PROMPTS)
    assert set(made.prompts) <= set(short)
    assert made.origin.left_out["long prompt"] == len(PROMPTS) - len(short)


def test_parts_with_the_norms_of_the_whole_are_the_whole(gpt2):
    d = direction(gpt2)
    whole = steered_pairs(gpt2, PROMPTS, d, decoding=SAMPLED)
    norms = mean_norms(gpt2, PROMPTS, [d.site])
    parts = [
        steered_pairs(gpt2, some, d, decoding=SAMPLED, norms=norms)
        for some in (PROMPTS[:2], PROMPTS[2:])
    ]
    assert by_prompt(whole) == by_prompt(parts[0]) | by_prompt(parts[1])
    assert parts[0].provenance["sites"] == whole.provenance["sites"]
    doubled = {site: 2 * norm for site, norm in norms.items()}
    assert by_prompt(steered_pairs(gpt2, PROMPTS, d, decoding=SAMPLED, norms=doubled)) != (
        by_prompt(whole)
    )
