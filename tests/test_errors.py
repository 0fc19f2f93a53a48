"""Hints name what was meant, or what there is, and nothing else."""

from __future__ import annotations

import pytest

from bezoar.errors import did_you_mean, nearest

METHODS = ("project-out", "subtract", "word-ban")
PROTOCOLS = ("LEE", "LEE-code", "LEE-tok", "PROFS", "DEX", "RTP-0", "APPLE", "EIGEN")
POINTS = ("resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out", "mlp_post", "z")


@pytest.mark.parametrize(
    ("seen", "valid", "near"),
    [
        ("substract", METHODS, ["subtract"]),
        ("Word Ban", METHODS, ["word-ban"]),
        ("word_ban", METHODS, ["word-ban"]),
        ("project", METHODS, ["project-out"]),
        ("lee", PROTOCOLS, ["LEE"]),
        ("APLE", PROTOCOLS, ["APPLE"]),
        ("resid_pos", POINTS, ["resid_post"]),
        ("mlp_otu", POINTS, ["mlp_out"]),
        ("lable", ("text", "label", "source"), ["label"]),
        ("comment", ("id", "comment_text"), ["comment_text"]),
        ("comment.csv", ("README.md", "comments.csv", "notes.csv"), ["comments.csv"]),
        ("limt", ("limit", "label", "data"), ["limit"]),
    ],
)
def test_what_was_meant_is_named(seen, valid, near):
    assert nearest(seen, valid)[: len(near)] == near
    assert repr(near[0]) in did_you_mean(seen, valid)


@pytest.mark.parametrize(
    ("seen", "valid"),
    [
        ("banana", METHODS),
        ("x", POINTS),
        ("sites", ("methods", "scorers", "protocols")),
        ("data", ("demo", "hub", "jigsaw")),
        ("such.csv", ("sys", "usr", "etc", "tmp", "opt")),
        ("comments.csv", ("README.md", "comp.txt", "notes.csv")),
        ("", METHODS),
    ],
)
def test_what_is_far_is_not_suggested(seen, valid):
    assert nearest(seen, valid) == []
    assert did_you_mean(seen, valid).startswith("Valid: ")


def test_of_a_long_list_without_a_near_name_nothing_is_said():
    names = [f"transformer.h.{i}.mlp" for i in range(40)]
    assert did_you_mean("banana", names) == ""
    assert did_you_mean("anything", ()) == ""
