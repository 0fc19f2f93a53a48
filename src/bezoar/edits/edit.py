"""What every edit is: applied for a while, undone exactly, and perhaps folded into weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from bezoar.errors import EditError
from bezoar.models import LanguageModel
from bezoar.runs.results import one_line

if TYPE_CHECKING:
    from bezoar.edits.weight import WeightEdit


@dataclass(slots=True)
class Applied:
    """Proof that an edit acts: how often each of its hooks ran while it was applied."""

    calls: Counter[str] = field(default_factory=Counter)


class Edit(ABC):
    """A change of a model's behaviour. Immutable; knows nothing of a model until it is applied.

    Attributes:
        name: for people, e.g. "subtract probe 4.resid_post".
        kind: "weight", "activation", "logit", "module", "composed" or "no-op".
        foldable: whether edits of this kind can ever become plain weights. Whether *this* edit
            folds into a given model is for `fold` to say.
        provenance: plain data on where it came from: method, strength, model, data.
    """

    __slots__ = ()
    kind: ClassVar[str]
    name: str
    provenance: Mapping[str, Any]

    __repr__ = one_line

    @property
    @abstractmethod
    def foldable(self) -> bool: ...

    @contextmanager
    def applied_to(self, lm: LanguageModel) -> Iterator[Applied]:
        """Apply the edit until the ``with`` block ends, however it ends; contexts nest.

        Raises:
            EditError: if the edit does not fit the model; the model is then unchanged.
        """
        applied = Applied()
        with self._entered(lm, applied):
            yield applied

    @abstractmethod
    def _entered(self, lm: LanguageModel, applied: Applied) -> AbstractContextManager[None]:
        """Change the model, counting hook calls in ``applied``; undo everything on exit."""

    @abstractmethod
    def check(self, lm: LanguageModel) -> None:
        """See whether the edit fits a model, without changing it.

        Raises:
            EditError, SiteError: if it does not.
        """

    @abstractmethod
    def hooks(self, lm: LanguageModel) -> Mapping[str, int]:
        """How often each of the edit's hooks runs in one forward pass, by name."""

    @abstractmethod
    def fold(self, lm: LanguageModel) -> WeightEdit:
        """The same change as plain weights of ``lm``.

        Raises:
            NotFoldable: if no weights of this architecture express it; the message says why.
        """

    def then(self, other: Edit) -> Composed:
        """This edit, then another one on the edited model."""
        return Composed((self, other))

    def save(self, folder: str | Path, lm: LanguageModel | None = None) -> None:
        """Write ``edit.safetensors`` and ``edit.json`` (see `bezoar.edits.storage`).

        Args:
            folder: made if it is missing.
            lm: the model it belongs to, whose name, fingerprint and sizes are then recorded.
        """
        from bezoar.edits.storage import save_edit

        save_edit(self, folder, lm)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class NoOp(Edit):
    """Changes nothing, through the same code path: what every method is measured against."""

    kind: ClassVar[str] = "no-op"
    name: str = "no-op"
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def foldable(self) -> bool:
        return True

    @contextmanager
    def _entered(self, lm: LanguageModel, applied: Applied) -> Iterator[None]:
        yield

    def check(self, lm: LanguageModel) -> None:
        pass

    def hooks(self, lm: LanguageModel) -> Mapping[str, int]:
        return {}

    def fold(self, lm: LanguageModel) -> WeightEdit:
        from bezoar.edits.weight import WeightEdit

        return WeightEdit({}, name=self.name, provenance=self.provenance)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Composed(Edit):
    """Several edits in order.

    Edits of one kind act in their order. Across kinds the forward pass decides: weights are what
    the activations are computed from, so a weight edit comes before every activation edit, however
    they are listed, and logit edits come last. To edit the weights *of a hooked edit*, compose with
    its folded form: ``edit.fold(lm).then(other)``.
    """

    kind: ClassVar[str] = "composed"
    edits: tuple[Edit, ...]
    name: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        flat: list[Edit] = []
        for edit in self.edits:
            flat.extend(edit.edits if isinstance(edit, Composed) else (edit,))
        if not flat:
            raise EditError("A composition of no edits was asked for.", hint="Use NoOp().")
        object.__setattr__(self, "edits", tuple(flat))
        if not self.name:
            object.__setattr__(self, "name", " + ".join(edit.name for edit in flat))

    @property
    def foldable(self) -> bool:
        return all(edit.foldable for edit in self.edits)

    @contextmanager
    def _entered(self, lm: LanguageModel, applied: Applied) -> Iterator[None]:
        with ExitStack() as stack:
            for edit in self.edits:
                stack.enter_context(edit._entered(lm, applied))
            yield

    def check(self, lm: LanguageModel) -> None:
        for edit in self.edits:
            edit.check(lm)

    def hooks(self, lm: LanguageModel) -> Mapping[str, int]:
        total: Counter[str] = Counter()
        for edit in self.edits:
            total.update(edit.hooks(lm))
        return total

    def fold(self, lm: LanguageModel) -> WeightEdit:
        from bezoar.edits.fold import fold_all

        return fold_all(self.edits, lm, name=self.name, provenance=self.provenance)
