"""The loss and its gradients are TRL's, where TRL is installed."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch

from bezoar.mitigate.preference import (
    answer_logps,
    collate,
    dpo_loss,
    reference_logps,
    sequence_logps,
    tokenise_pairs,
)
from tests.families import tiny_model
from tests.mitigate.preferences import pairs


def test_loss_and_gradients_are_those_of_trl(tmp_path):
    trl = pytest.importorskip("trl")
    datasets = pytest.importorskip("datasets")
    reference, policy = tiny_model("gpt2"), tiny_model("gpt2", seed=1)
    data = pairs(6)
    end = policy.tokenizer.eos_token  # it ends what it is given with one
    rows = {"prompt": data.prompts, "chosen": data.chosen, "rejected": data.rejected}
    data = dataclasses.replace(
        data,
        chosen=tuple(text + end for text in data.chosen),
        rejected=tuple(text + end for text in data.rejected),
    )
    tokens = tokenise_pairs(policy, data)
    batch = collate(policy, tokens, range(6))
    sums = sequence_logps(answer_logps(policy, batch), batch.rows, 12).chunk(2)
    told = dpo_loss(*sums, *reference_logps(reference, tokens).of(batch), 0.3)
    named = dict(policy.model.named_parameters())
    gradients = torch.autograd.grad(told.loss.mean(), [*named.values()])

    their_model = copy.deepcopy(policy.model)
    trainer = trl.DPOTrainer(
        model=their_model,
        ref_model=reference.model,
        args=trl.DPOConfig(
            str(tmp_path),
            beta=0.3,
            use_cpu=True,
            report_to=[],
            bf16=False,
            gradient_checkpointing=False,
        ),
        processing_class=policy.tokenizer,
        train_dataset=datasets.Dataset.from_dict({k: list(v) for k, v in rows.items()}),
    )
    inputs = trainer.data_collator([trainer.train_dataset[i] for i in range(6)])
    loss = trainer.compute_loss(trainer.model, inputs)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(float(told.loss.detach().mean()), abs=1e-6)
    theirs = dict(their_model.named_parameters())
    largest = max(float(g.abs().max()) for g in gradients)
    for name, gradient in zip(named, gradients, strict=True):
        difference = float((theirs[name].grad - gradient).abs().max())
        assert difference <= 1e-6 * max(1.0, largest), name
    assert largest > 1e-3
