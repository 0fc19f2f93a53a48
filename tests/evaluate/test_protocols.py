from __future__ import annotations

import pytest

from bezoar.corpus.adapters import ADAPTERS
from bezoar.errors import ConfigError
from bezoar.evaluate import PROTOCOLS, get_protocol
from bezoar.scoring import STATISTICS, PerplexityProtocol


@pytest.mark.parametrize("name", sorted(PROTOCOLS))
def test_protocols_are_sound_and_ids_round_trip(name: str) -> None:
    protocol = PROTOCOLS[name]
    assert {protocol.statistic, *protocol.also} <= set(STATISTICS)
    assert PerplexityProtocol.parse(protocol.perplexity).id == protocol.perplexity
    assert get_protocol(name) == protocol
    assert get_protocol(protocol.id) == protocol
    assert str(protocol.prompts_n) in protocol.id


def test_sizes_are_parsed_and_written() -> None:
    eigen = get_protocol("EIGEN@100x5s3")
    assert (eigen.prompts_n, eigen.decoding.samples, eigen.decoding.seed) == (100, 5, 3)
    assert eigen.id == "EIGEN@100x5s3"
    assert (eigen.decoding.top_p, eigen.decoding.top_k) == (0.95, 50)
    assert get_protocol("EIGEN@100×5s3") == eigen
    assert get_protocol("EIGEN@9", seed=4).id == "EIGEN@9x25s4"
    assert get_protocol("EIGEN@9x2s3", seed=4).resized(prompts=8).id == "EIGEN@8x2s3"
    assert get_protocol("LEE@9", seed=4) == get_protocol("LEE@9")  # greedy: no seed to speak of
    lee = get_protocol("LEE-code@200")
    assert (lee.id, lee.compat, lee.prompt_tokens) == ("LEE-code@200", "lee2024", 32)
    assert get_protocol("LEE", prompts=17).id == "LEE@17"
    assert get_protocol("RTP-0@10").decoding.samples == 25


def test_modes_differ_only_where_they_should() -> None:
    lee, code, tokenised = (PROTOCOLS[n] for n in ("LEE", "LEE-code", "LEE-tok"))
    assert lee.decoding == code.decoding == tokenised.decoding
    assert (lee.compat, lee.neutral, tokenised.neutral) == (None, "raw", "tokenised")
    assert PerplexityProtocol.parse(code.perplexity).mode == "code"


def test_refusals() -> None:
    with pytest.raises(ConfigError, match="'EIGEN'"):
        get_protocol("EIGNE@10")
    with pytest.raises(ConfigError, match="greedily"):
        get_protocol("LEE@10x5")
    with pytest.raises(ConfigError, match="0 prompts"):
        get_protocol("LEE").resized(0)
    for spec in ("LEE@", "LEE@x", "LEE@0", "LEE@10y5", ""):
        with pytest.raises(ConfigError):
            get_protocol(spec)


@pytest.mark.parametrize(
    ("protocol", "tokenised", "use"),
    [("LEE@200", True, "Use LEE-tok@200"), ("LEE-tok@9", False, "Use LEE@9"), ("EIGEN", True, "")],
)
def test_neutral_text_of_the_other_form_is_refused_with_what_to_use(protocol, tokenised, use):
    get_protocol(protocol).check_neutral(not tokenised)
    with pytest.raises(ConfigError, match="compare with nothing") as caught:
        get_protocol(protocol).check_neutral(tokenised, "The neutral text x.txt")
    assert caught.value.message.startswith("The neutral text x.txt is ")
    assert caught.value.hint.startswith(use or "Give text of the other form")


def test_each_protocol_has_its_part_of_real_toxicity_prompts():
    for protocol in PROTOCOLS.values():
        assert f"rtp-{protocol.subset}" in ADAPTERS
        assert [protocol.takes(name) for name in ("demo-prompts", f"rtp-{protocol.subset}")] == [
            False,
            True,
        ]
