"""The bench of the study: an audit's, and the edit that the paper is about."""

from __future__ import annotations

from functools import cached_property

from bezoar.errors import ConfigError
from bezoar.mitigate import parse_method
from bezoar.mitigate.dpo import DPO
from bezoar.runs import DPOStudyConfig, Progress, Run
from bezoar.studies.audit.bench import Bench


class DPOBench(Bench):
    """A study at work.

    Args:
        run: the open run folder.
        config: what was asked.
        progress: where to show it.
    """

    config: DPOStudyConfig

    def __init__(self, run: Run, config: DPOStudyConfig, progress: Progress | None = None) -> None:
        super().__init__(run, config, progress)

    @cached_property
    def dpo_spec(self) -> str:
        """The training that figures and Table 4 are about: the first that is asked for."""
        return trained_specs(self.config)[0]


def trained_specs(config: DPOStudyConfig) -> tuple[str, ...]:
    """Those of the methods that train on preferences, as they are written.

    Raises:
        ConfigError: if there is none.
    """
    parsed = map(parse_method, config.mitigate.methods)
    specs = tuple(method.spec for method in parsed if isinstance(method, DPO))
    if not specs:
        raise ConfigError(
            f"None of the methods {', '.join(config.mitigate.methods)} is dpo.",
            hint="Add dpo to --methods, or run 'bezoar audit'.",
        )
    return specs
