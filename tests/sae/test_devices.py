"""Training on another device: the same autoencoders, and no tensor on the wrong one."""

from __future__ import annotations

import contextlib

import pytest
import torch

from bezoar.activations.rows import InMemoryRows
from bezoar.errors import ConfigError
from bezoar.sae import SAESpec, load_sae, measure_quality, planted_dictionary, train_saes
from bezoar.sae.devices import ahead, multiplying, place, rows_at_once
from bezoar.sae.pupil import Plan, Pupil
from tests.sae.elsewhere import DEVICE, Elsewhere, There
from tests.sae.material import SPECS
from tests.sae.test_training import PressCtrlC

SITE = "3.resid_post"
SMALL = {"tokens": 2_560, "batch": 64, "expansion": 4, "lr": 3e-3}


def rows(n=500):
    return InMemoryRows(planted_dictionary(32, 16, n, 3)[0], SITE)


def alike(there, here, bound=1e-3):
    """Weights that came two ways; where rounding decides which latent is chosen they part."""
    for name, tensor in here.state_dict().items():
        away = (there.state_dict()[name].cpu() - tensor).abs()
        assert float(away.double().quantile(0.99)) < bound, name


@pytest.mark.parametrize("spec", SPECS)
def test_training_elsewhere_goes_the_same_way_and_mixes_no_devices(spec, tmp_path):
    [here] = train_saes([spec], rows(), **SMALL)
    with Elsewhere():
        [there] = train_saes([spec], rows(), **SMALL, device=DEVICE, out=tmp_path)
        assert all(isinstance(tensor, There) for tensor in there.sae.state_dict().values())
        alike(there.sae, here.sae)
        [again] = train_saes([spec], rows(), **SMALL, device=DEVICE, out=tmp_path)
        assert isinstance(again.sae.W_dec.data, There)
        quality = measure_quality(there.sae, rows())
    assert there.curve.loss == pytest.approx(here.curve.loss, rel=1e-3)
    [folder] = tmp_path.iterdir()
    alike(load_sae(folder), here.sae)
    expected = measure_quality(here.sae, rows())
    assert quality.explained_variance == pytest.approx(expected.explained_variance, abs=1e-3)


@pytest.mark.parametrize(("first", "then"), [("meta", "cpu"), ("cpu", "meta")])
def test_a_checkpoint_of_one_device_goes_on_at_another(first, then, tmp_path):
    specs = ["topk:k=4", "gated:resample=2"]
    whole = train_saes(specs, rows(), **SMALL)
    with Elsewhere():
        with pytest.raises(KeyboardInterrupt):
            train_saes(
                specs, rows(), **SMALL, out=tmp_path, device=first, progress=PressCtrlC(11 * 64)
            )
        resumed = train_saes(specs, rows(), **SMALL, out=tmp_path, device=then)
        assert resumed[0].curve.tokens == whole[0].curve.tokens
        for a, b in zip(resumed, whole, strict=True):
            alike(a.sae, b.sae)


def test_the_same_seed_begins_with_the_same_weights_on_every_device():
    x = rows().batches(64).__next__()
    begun = {}
    with Elsewhere():
        for device in ("cpu", "meta"):
            plan = Plan(10, 64, 1e-3, 0.1, 0.1, 64, 3)
            pupil = Pupil(SAESpec.parse("topk:k=4"), 16, 64, plan, torch.device(device))
            pupil.begin(x, x.mean(0))
            begun[device] = pupil.sae.state_dict()
        for name, tensor in begun["cpu"].items():
            assert torch.equal(begun["meta"][name].cpu(), tensor), name


@pytest.mark.parametrize(
    "spec", ["relu:resample=0", "gated:resample=0", "topk:k=3,aux=0.03", "matryoshka:k=3,aux=0.03"]
)
def test_dead_latents_are_revived_elsewhere_as_here(spec):
    x = planted_dictionary(32, 16, 64, 3)[0]
    revived = {}
    with Elsewhere():
        for device in ("cpu", "meta"):
            plan = Plan(10, 64, 1e-3, 0.0, 0.1, 64, 0)
            pupil = Pupil(SAESpec.parse(spec), 16, 64, plan, torch.device(device))
            pupil.begin(x, x.mean(0))
            with torch.no_grad():
                pupil.sae.b_enc[4:] = -1e6
            for number in range(2):
                pupil.step(number, x.to(device))
            assert len(pupil.dead()) == 60
            pupil.resample(2, x.to(device))
            revived[device] = {k: t.cpu() for k, t in pupil.tensors().items() if "step" not in k}
    for name, tensor in revived["cpu"].items():
        assert torch.allclose(revived["meta"][name].double(), tensor.double(), atol=1e-4), name


def test_the_device_that_is_not_there_refuses_what_an_accelerator_would():
    with Elsewhere():
        there, here = torch.ones(3, device=DEVICE), torch.ones(3)
        assert float((there + 2 * torch.ones(())).sum()) == 9
        for wrong in (
            lambda: there + here,
            lambda: there[torch.tensor([0])],
            lambda: there.index_copy_(0, torch.tensor([0]), there[:1]),
            lambda: there.normal_(generator=torch.Generator()),
        ):
            with pytest.raises(RuntimeError, match="on the device"):
                wrong()


def test_batches_are_sent_while_the_one_before_is_learned_from(monkeypatch):
    told: list[str] = []

    class Stream:
        def __init__(self, device=None):
            pass

        def wait_stream(self, other):
            told.append("wait")

    class Rows(torch.Tensor):
        def pin_memory(self):
            return self

        def to(self, device, non_blocking):
            assert non_blocking
            told.append(f"send {int(self)}")
            return self

        def record_stream(self, stream):
            told.append(f"hold {int(self)}")

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Stream())
    batches = ((i, torch.full((1,), float(i)).as_subclass(Rows)) for i in range(3))
    for number, _ in ahead(batches, torch.device("cuda")):
        told.append(f"learn {number}")
    assert told == [
        *("send 0", "send 1", "wait", "hold 0", "learn 0"),
        *("send 2", "wait", "hold 1", "learn 1", "wait", "hold 2", "learn 2"),
    ]


@pytest.mark.parametrize("n", [0, 1, 3])
def test_all_batches_arrive_in_order(n):
    with Elsewhere():
        batches = [(i, torch.full((2, 3), float(i))) for i in range(n)]
        sent = list(ahead(iter(batches), DEVICE))
        assert [number for number, _ in sent] == list(range(n))
        assert all(float(x.sum()) == 6 * number for number, x in sent)
    lazy = ahead(iter(batches), torch.device("cpu"))
    assert [x for _, x in lazy] == [x for _, x in batches]


def test_a_device_that_is_missing_is_named():
    assert place(None) == torch.device("cpu")
    with pytest.raises(ConfigError, match="'abacus'"):
        train_saes(["topk:k=4"], rows(), **SMALL, device="abacus")
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="'cuda'"):
            place("cuda")


def test_the_precision_of_products_is_put_back():
    before = torch.get_float32_matmul_precision()
    with pytest.raises(ZeroDivisionError), multiplying("high"):
        assert torch.get_float32_matmul_precision() == "high"
        _ = 1 / 0
    assert torch.get_float32_matmul_precision() == before


def test_a_batch_is_selected_from_in_parts_that_suit_the_device():
    on_cpu = rows_at_once(16_384, torch.device("cpu"), 2**23)
    assert on_cpu == 512
    assert rows_at_once(16_384, torch.device("cuda"), 2**23) == 8_192
    assert rows_at_once(2**40, torch.device("cpu"), 2**23) == 1
