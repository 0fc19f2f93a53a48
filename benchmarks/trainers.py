"""The arms of `benchmarks.sae`: trainers of TopK autoencoders, each with its own step.

All of them hold an encoder, a decoder and two biases, so all can begin with the same weights, and
learn from the same batches at the same rates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

LR = 1e-3


@dataclass
class Arm:
    """A trainer.

    Attributes:
        step: learns from a batch [rows d], at a rate.
        read: the reconstruction of rows.
        W_enc, b_enc, W_dec, b_dec: its weights [d latents], [latents], [latents d], [d].
    """

    step: Callable[[Any, float], None]
    read: Callable[[Any], Any]
    W_enc: Any
    b_enc: Any
    W_dec: Any
    b_dec: Any

    def begin(self, weights: dict[str, Any]) -> None:
        """Begin with these weights."""
        import torch

        with torch.no_grad():
            for name, value in weights.items():
                getattr(self, name).copy_(value)


def bezoar(args: Any) -> Arm:
    import torch

    from bezoar.sae import SAESpec
    from bezoar.sae.pupil import Plan, Pupil

    plan = Plan(10**6, args.batch, LR, 0.0, 0.0, 10**7, 0)
    spec = SAESpec.parse(f"topk:k={args.k}")
    pupil = Pupil(spec, args.d, args.latents, plan, torch.device(args.device))
    number, sae = count(1), pupil.sae

    def step(batch: Any, rate: float) -> None:
        pupil.lr = rate
        pupil.step(next(number), batch)

    return Arm(step, sae.forward, sae.W_enc, sae.b_enc, sae.W_dec, sae.b_dec)


def dense(args: Any) -> Arm:
    """The same step by autograd alone: a matrix [batch latents] throughout."""
    import torch

    shapes = (args.d, args.latents), (args.latents,), (args.latents, args.d), (args.d,)
    weights = [torch.zeros(shape, device=args.device, requires_grad=True) for shape in shapes]
    W_enc, b_enc, W_dec, b_dec = weights
    adam = torch.optim.Adam(weights, lr=LR)

    def read(batch: Any) -> Any:
        pre = torch.addmm(b_enc, batch - b_dec, W_enc)
        best = pre.topk(args.k, dim=1, sorted=False)
        latents = torch.zeros_like(pre).scatter(1, best.indices, best.values.relu())
        return latents @ W_dec + b_dec

    def step(batch: Any, rate: float) -> None:
        (read(batch) - batch).square().sum(1).mean().backward()
        with torch.no_grad():
            grad = W_dec.grad
            grad -= torch.linalg.vecdot(grad, W_dec)[:, None] * W_dec
            adam.param_groups[0]["lr"] = rate
            adam.step()
            adam.zero_grad()
            W_dec.div_(W_dec.norm(dim=1, keepdim=True))

    return Arm(step, read, *weights)


def saelens(args: Any) -> Arm:
    """SAELens' own step: forward pass, backward pass, clipping, Adam; sparse as it recommends."""
    import torch
    from sae_lens.saes.sae import TrainStepInput
    from sae_lens.saes.topk_sae import TopKTrainingSAE, TopKTrainingSAEConfig

    sizes = {"d_in": args.d, "d_sae": args.latents, "k": args.k, "device": args.device}
    sae = TopKTrainingSAE(TopKTrainingSAEConfig(**sizes))
    adam = torch.optim.Adam(sae.parameters(), lr=LR)
    silent = torch.zeros(args.latents, device=args.device)

    def step(batch: Any, rate: float) -> None:
        seen = {"sae_in": batch, "coefficients": {}, "dead_neuron_mask": silent > 1_000}
        names = TrainStepInput.__dataclass_fields__
        more = {"n_training_steps": 0, "is_logging_step": False}
        given = seen | {name: more[name] for name in more if name in names}
        out = sae.training_forward_pass(TrainStepInput(**given))
        with torch.no_grad():
            acts = out.feature_acts
            fired = (acts.to_dense() if acts.is_sparse else acts).bool().any(0)
            silent.add_(1).masked_fill_(fired, 0)
        out.loss.backward()
        torch.nn.utils.clip_grad_norm_(sae.parameters(), 1.0)
        adam.param_groups[0]["lr"] = rate
        adam.step()
        adam.zero_grad()

    return Arm(step, sae, sae.W_enc, sae.b_enc, sae.W_dec, sae.b_dec)


def sparsify(args: Any) -> Arm:
    """The step of sparsify's trainer on its SparseCoder, with Adam in place of Signum."""
    import torch
    from sparsify import SparseCoder, SparseCoderConfig

    config = SparseCoderConfig(num_latents=args.latents, k=args.k, normalize_decoder=True)
    sae = SparseCoder(args.d, config, device=args.device)
    adam = torch.optim.Adam(sae.parameters(), lr=LR)
    silent = torch.zeros(args.latents, dtype=torch.int64, device=args.device)

    def step(batch: Any, rate: float) -> None:
        out = sae(batch, dead_mask=None)  # as its trainer passes it while none is dead
        (out.fvu + out.auxk_loss / 32).backward()
        with torch.no_grad():
            silent.add_(len(batch))
            silent[out.latent_indices.flatten()] = 0
            bool((silent > 10_000_000).any())
        sae.remove_gradient_parallel_to_decoder_directions()
        adam.param_groups[0]["lr"] = rate
        adam.step()
        adam.zero_grad()
        sae.set_decoder_norm_to_unit_norm()

    weights = sae.encoder.weight.data.T, sae.encoder.bias, sae.W_dec, sae.b_dec
    return Arm(step, lambda batch: sae(batch).sae_out, *weights)


def dictionary_learning(args: Any) -> Arm:
    """The update of its TopKTrainer, whose own schedule is passed over."""
    from dictionary_learning.trainers.top_k import TopKTrainer

    settings = {"activation_dim": args.d, "dict_size": args.latents, "k": args.k}
    settings |= {"layer": 0, "lm_name": "", "steps": 10**6, "lr": LR, "seed": 0}
    settings |= {"warmup_steps": 0, "auxk_alpha": 1 / 32, "device": args.device}
    names = TopKTrainer.__init__.__code__.co_varnames
    trainer = TopKTrainer(**{key: value for key, value in settings.items() if key in names})
    number, ae = count(1), trainer.ae  # in step 0 it would take a centre of its own

    def step(batch: Any, rate: float) -> None:
        trainer.optimizer.param_groups[0]["lr"] = rate
        trainer.update(next(number), batch)

    weights = ae.encoder.weight.data.T, ae.encoder.bias, ae.decoder.weight.data.T, ae.b_dec
    return Arm(step, ae, *weights)


OURS, DENSE = "bezoar", "dense"
PACKAGES = {"SAELens": "sae-lens", "dictionary_learning": "dictionary-learning"}
PACKAGES |= {"sparsify": "eai-sparsify"}
MAKERS: dict[str, Callable[[Any], Arm]] = {OURS: bezoar, DENSE: dense, "SAELens": saelens}
MAKERS |= {"dictionary_learning": dictionary_learning, "sparsify": sparsify}


def first_weights(sample: Any, latents: int, k: int) -> dict[str, Any]:
    """What all arms begin with: as `bezoar.sae.train_saes` would, on rows of a mean norm of √d."""
    from bezoar.sae import SAESpec, geometric_median
    from bezoar.sae.pupil import Plan, Pupil

    plan = Plan(1, len(sample), LR, 0.0, 0.0, 1, 0)
    pupil = Pupil(SAESpec.parse(f"topk:k={k}"), sample.shape[1], latents, plan)
    pupil.begin(sample, geometric_median(sample))
    return {
        name: getattr(pupil.sae, name).detach() for name in ("W_enc", "b_enc", "W_dec", "b_dec")
    }
