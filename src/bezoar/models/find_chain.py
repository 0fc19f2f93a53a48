"""Find the blocks: modules of which each reads what the one before it wrote."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

from torch import nn

from bezoar.errors import UnsupportedAnatomy, did_you_mean
from bezoar.models.names import AnatomyNames, by_hand
from bezoar.models.trace import Call, Trace, close

_HINT = (
    f"{by_hand('blocks', 'model.layers')} Where each is an attribute of its own, name them like "
    "encoder.layer_{}."
)


@dataclass(frozen=True, slots=True)
class Chain:
    """The blocks, by name, and the width of the stream they hand on."""

    names: tuple[str, ...]
    blocks: tuple[nn.Module, ...]
    width: int


def find_chain(modules: dict[str, nn.Module], run: Trace, names: AnatomyNames) -> Chain:
    """The blocks of a model: named by hand, or the longest chain of list members.

    Raises:
        UnsupportedAnatomy: if there is none; says what lists and series of modules there are.
    """
    groups = _containers(modules)
    if names.blocks is not None:
        chosen = groups.get(names.blocks) or _series(modules).get(names.blocks)
        if chosen is None:
            raise UnsupportedAnatomy(
                f"The model has no list of blocks named {names.blocks!r}.",
                hint=did_you_mean(names.blocks, [*groups, *_series(modules)]),
            )
    else:
        chains = [
            members
            for name, members in groups.items()
            if isinstance(modules[name], nn.ModuleList)
            and not any(name.startswith(f"{outer}.") for outer in groups)
            and _is_chain([run.of(member) for member in members])
        ]
        if not chains:
            raise UnsupportedAnatomy(
                "No list of blocks was found in which each block reads what the one before wrote; "
                f"{_found(modules, groups)}.",
                hint=_HINT,
            )
        chosen = max(chains, key=len)
    calls = [call for call in run.calls if call.name in chosen]
    first = next((call for call in calls if call.name == chosen[0]), None)
    if first is None or first.d_in is None:
        raise UnsupportedAnatomy(f"The block {chosen[0]} was never called in a forward pass.")
    if len(calls) > len(chosen):
        raise UnsupportedAnatomy(
            f"{len(chosen)} blocks ({chosen[0]}, …) were called {len(calls)} times in one forward "
            "pass: layers that share their weights are not supported.",
        )
    return Chain(tuple(chosen), tuple(modules[name] for name in chosen), first.d_in)


def _containers(modules: dict[str, nn.Module]) -> dict[str, list[str]]:
    """Lists of modules by name, with the names of their members."""
    kinds = (nn.ModuleList, nn.Sequential, nn.ModuleDict)
    return {
        name: [f"{name}.{child}" for child, _ in module.named_children()]
        for name, module in modules.items()
        if isinstance(module, kinds) and len(module) and name
    }


def _series(modules: dict[str, nn.Module]) -> dict[str, list[str]]:
    """Attributes that differ in a number only (``layer_0``, ``layer_1``), by their pattern."""
    found: dict[str, list[tuple[int, str]]] = {}
    for name in modules:
        if match := re.fullmatch(r"(.*?)(\d+)", name):
            found.setdefault(f"{match[1]}{{}}", []).append((int(match[2]), name))
    return {
        pattern: [name for _, name in sorted(members)]
        for pattern, members in found.items()
        if not pattern.endswith(".{}")
    }


def _found(modules: dict[str, nn.Module], groups: dict[str, list[str]]) -> str:
    def shown(members: list[str]) -> str:
        return f"{len(members)} × {type(modules[members[0]]).__name__}"

    lists = ", ".join(f"{name} ({shown(members)})" for name, members in groups.items())
    several = {k: v for k, v in _series(modules).items() if len(v) > 1}
    series = ", ".join(f"{name} ({shown(members)})" for name, members in several.items())
    return f"lists of modules: {lists or 'none'}" + (f"; series: {series}" if series else "")


def _is_chain(calls: list[Call | None]) -> bool:
    """Whether every block was called, keeps the width, and reads what the one before it wrote."""
    known = [call for call in calls if call is not None and call.read is not None]
    if len(known) < len(calls) or any(call.d_in != call.d_out for call in known):
        return False
    return all(close(a.wrote, b.read, 1e-6) for a, b in itertools.pairwise(known))
