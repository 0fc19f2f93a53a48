"""Build a transformers model from a checkpoint that may be damaged, incomplete or absurd.

Whatever goes wrong ends in a `ModelError` that says what, in one line. Nothing is executed: no
pickle is read, and no code of the checkpoint's own is run.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub
import torch
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from torch import Tensor, nn
from torch.nn.modules import module as hooks
from transformers import AutoConfig, AutoTokenizer, PreTrainedModel
from transformers.utils import logging as progress

from bezoar.errors import BezoarError, ModelError
from bezoar.models.folder import Held, check_folder

_PATIENCE = 10.0  # seconds
_SPARE = 2**27  # numbers that are no harm to anybody, as half a gigabyte at most
_ITS_OWN = "Is every file of it there, and saved together with the others?"
_HUB = (
    "It is no folder here, so it was taken for a hub id: check its spelling and the network "
    "(HF_HUB_OFFLINE), or give a folder."
)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A folder or hub id, and what to call it in errors ("model", "classifier").

    Every method raises ModelError, whatever transformers raises.
    """

    kind: str
    source: str
    held: Held | None
    revision: str | None = None
    reachable: bool = True

    @classmethod
    def open(cls, kind: str, source: str, revision: str | None = None) -> Checkpoint:
        """Look at a folder's files before transformers does.

        Raises:
            ModelError: if it cannot be a model, or its configuration is absurd.
        """
        with _explained(kind, source, "files"):
            if Path(source).is_dir():
                return cls(kind, source, check_folder(Path(source)), revision)
        return cls(kind, source, None, revision, reachable=_hub_answers(source))

    def config(self) -> Any:
        """Its configuration."""
        with self._quiet("configuration"):
            return AutoConfig.from_pretrained(self.source, **self._options)

    def tokenizer(self) -> Any:
        """Its tokenizer: never the empty one that transformers makes where the files are missing.

        Raises:
            ModelError: if it knows no text.
        """
        with self._quiet("tokenizer"):
            tokenizer = AutoTokenizer.from_pretrained(self.source, **self._options)
            special = set(tokenizer.all_special_tokens)
            if hasattr(tokenizer, "get_added_vocab"):  # Mistral's own backend adds none
                special |= tokenizer.get_added_vocab().keys()
            words = len(tokenizer.get_vocab().keys() - special)
            tokenizer(["a text"], verbose=False)  # wrong settings show when it is first used
        if words < 2:  # some classes come with the blank of SentencePiece
            raise ModelError(
                f"The {self.kind} {self.source!r} has no tokenizer: its files are missing, and "
                "without them every text would be empty or unknown.",
                hint="Put the tokenizer that it was trained with into the folder "
                "(tokenizer.json, tokenizer_config.json).",
            )
        return tokenizer

    def weights(self, auto: Any, **options: Any) -> tuple[PreTrainedModel, list[str]]:
        """The model that ``auto`` builds, and the names of the weights that it lacks, now random.

        Raises:
            ModelError: if the configuration gives weights another shape, or makes far more of them
                than there are.
        """
        with self._quiet("weights"), self._bounded():
            model, info = auto.from_pretrained(
                self.source,
                use_safetensors=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # to name them ourselves: the report is silenced
                **self._options,
                **options,
            )
        if wrong := sorted(info["mismatched_keys"]):
            shapes = [f"{name} {list(a)}, not {list(b)}" for name, a, b in wrong[:3]]
            raise ModelError(
                f"The configuration of {self.source!r} is not that of its weights, whose shapes "
                f"are: {'; '.join(shapes)}{'; …' if len(wrong) > 3 else ''}.",
                hint="Use the config.json that the weights were saved with.",
            )
        return model, sorted(info["missing_keys"])

    def require(self, absent: list[str], hint: str) -> None:
        """Refuse to go on with weights that the checkpoint lacks.

        Raises:
            ModelError: naming some.
        """
        if absent:
            raise ModelError(
                f"The checkpoint of {self.source} lacks weights that would be random: "
                f"{', '.join(absent[:4])}{', …' if len(absent) > 4 else ''}.",
                hint=hint,
            )

    @property
    def _options(self) -> dict[str, Any]:
        local = {} if self.reachable else {"local_files_only": True}
        return {"trust_remote_code": False, "revision": self.revision, **local}

    @contextmanager
    def _bounded(self) -> Iterator[None]:
        """Stop a model that grows, still without memory, far beyond what its weights hold.

        Weights that are tied count more than once until transformers ties them.
        """
        limit = None if self.held is None else 4 * self.held.numbers + _SPARE
        made = 0

        def count(module: nn.Module, name: str, value: Tensor | None) -> None:
            nonlocal made
            made += value.numel() if value is not None and value.is_meta else 0
            if limit is not None and self.held is not None and made > limit:
                raise ModelError(
                    f"The configuration of {self.source!r} describes more than {made:,} numbers, "
                    f"while its weights hold {self.held.numbers:,}.",
                    hint="Use the config.json that the weights were saved with.",
                )

        handles = (
            hooks.register_module_parameter_registration_hook(count),
            hooks.register_module_buffer_registration_hook(count),
        )
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    @contextmanager
    def _quiet(self, part: str) -> Iterator[None]:
        with _silence() as report, _explained(self.kind, self.source, part, report):
            yield


def _hub_answers(source: str) -> bool:
    """Whether anybody answers for a hub id, asked once: the hub's client asks six times for each
    file, half a minute in all, before it looks at what is there of an earlier download."""
    if huggingface_hub.is_offline_mode():
        return True  # nobody will be asked
    try:
        huggingface_hub.HfApi().model_info(source, timeout=_PATIENCE)
    except (HfHubHTTPError, HFValidationError):
        return True  # an answer: of an id that is wrong, transformers says so in its own words
    except Exception as error:  # the errors of whichever HTTP library the hub's client uses
        logging.getLogger(__name__).debug("the hub does not answer: %s", error)
        return False
    return True


def refuse_not_finite(model: nn.Module, name: str) -> None:
    """Refuse weights that are NaN or infinite, with which every number would be NaN.

    Raises:
        ModelError: naming some.
    """
    bad = [key for key, weight in model.named_parameters() if not _is_finite(weight.detach())]
    if bad:
        raise ModelError(
            f"Weights of {name!r} are not finite (NaN or infinite): {', '.join(bad[:3])}"
            f"{f' and {len(bad) - 3} more' if len(bad) > 3 else ''}.",
            hint="The file is damaged, the training diverged, or float16 is too small for it.",
        )


def _is_finite(weight: Tensor) -> bool:
    if weight.is_meta or not weight.is_floating_point() or weight.itemsize < 2:
        return True  # elsewhere, or packed
    # A sum needs no memory, and only a sum of very large numbers is infinite without reason.
    return bool(weight.sum(dtype=torch.float32).isfinite()) or bool(weight.isfinite().all())


@contextmanager
def _explained(
    kind: str, source: str, part: str, report: list[str] | None = None
) -> Iterator[None]:
    """Turn whatever is raised into a ModelError."""
    try:
        yield
    except BezoarError:
        raise
    except Exception as error:  # whatever transformers, tokenizers, safetensors or torch may raise
        text = str(error)
        if "trust_remote_code" in text or "custom code" in text:
            raise ModelError(
                f"The {kind} {source!r} needs code of its own, which is never run.",
                hint="Use a version of it that transformers supports itself.",
            ) from error
        raise ModelError(
            f"The {kind} {source!r} could not be loaded, at its {part}: "
            f"{_converted(report or []) or one_line(error)}.",
            hint=_ITS_OWN if Path(source).is_dir() else _HUB,
        ) from error


def one_line(error: Exception) -> str:
    """What an error says in its first line, after its kind where the words may need it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = " ".join(lines[: 2 if lines and lines[0].endswith(":") else 1])
    plain = type(error) in (OSError, ValueError, RuntimeError, ImportError) and said
    return (said if plain else f"{type(error).__name__}: {said}").rstrip(".: ")[:400]


def _converted(report: list[str]) -> str:
    """Why weights could not be merged into those of the model; told in a table of the report."""
    text = "\n".join(report)
    keys = re.findall(r"^(\S+) +\|.*CONVERSION", text, re.MULTILINE)
    causes = re.findall(r"^\w*Error: (.+)", text, re.MULTILINE)
    return f"{keys[0]} cannot be made of what is there: {causes[0]}" if keys and causes else ""


@contextmanager
def _silence() -> Iterator[list[str]]:
    """Without the loading bar of transformers, or its table of weights that a head left behind.

    Weights that are missing are an error here, and weights that no part asks for are none.

    Returns:
        What it would have said.
    """
    report: list[str] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            report.append(record.getMessage())

    logger, keeper = logging.getLogger("transformers"), Keeper()
    others = {handler: handler.level for handler in logger.handlers}
    shown, level = progress.is_progress_bar_enabled(), progress.get_verbosity()
    progress.disable_progress_bar()
    for handler in others:
        handler.setLevel(logging.ERROR)
    logger.addHandler(keeper)
    logger.setLevel(logging.WARNING)
    try:
        yield report
    finally:
        logger.setLevel(level)
        logger.removeHandler(keeper)
        for handler, was in others.items():
            handler.setLevel(was)
        if shown:
            progress.enable_progress_bar()
