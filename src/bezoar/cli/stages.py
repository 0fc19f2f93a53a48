"""What the commands that work in a run folder have in common."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bezoar.cli import options as opt

if TYPE_CHECKING:
    from bezoar.runs import AuditConfig

LARGE = 16 * 2**20  # bytes that are read in about a second


def begin(config: AuditConfig, *, fresh: bool = False, update: bool = False) -> None:
    """Settle what happens to a run that is already in the folder, before any work.

    Raises:
        RunError: see `bezoar.runs.Run.open`.
    """
    from bezoar.runs import Run

    Run.open(config.out, config, resume=not fresh, update=update).close()


def run_stage(name: str, given: dict[str, Any]) -> None:
    """Bring a run up to one stage, and show that stage's result.

    Options that differ from those that the run was started with are refused, unless ``--update``
    was given: then the stages they touch run again.

    Raises:
        RunConflict: if they differ, and stages were begun.
    """
    from bezoar.cli.show import progress, show
    from bezoar.runs.config import STUDIES
    from bezoar.runs.folder import CONFIG
    from bezoar.runs.study_sections import QUICKS

    out = given["out"] or Path("runs/audit")
    study = _study(out / CONFIG)
    config = opt.configure(
        opt.settings(given) | {"out": out},
        config=given["config"],
        assignments=given["assign"],
        quick=QUICKS[study] if given["quick"] else None,
        below=out / CONFIG,
        kind=STUDIES[study],
    )
    check_texts(config)
    check, run = runner(study)
    check(config)
    is_new = not (out / CONFIG).is_file()
    begin(config, update=given["update"])
    with progress(given["quiet"], given["json"]) as bars:
        if is_new:  # perhaps a name that was mistyped
            bars.note(f"There is no run in {out}: a new audit of {config.model.name} begins there.")
        result = run(config, upto=name, progress=bars)
    show(result, as_json=given["json"], unmask=config.report.unmask)


def _study(config: Path) -> str:
    """Of which study a run is; an audit if there is none yet."""
    from bezoar.runs.config import load_run_config

    return load_run_config(config).study if config.is_file() else "audit"


def runner(study: str) -> tuple[Callable[[Any], object], Callable[..., Any]]:
    """What checks a configuration of a study, and what runs it up to a stage."""
    if study == "dpo":
        from bezoar.studies.dpo import check_study, run_dpo

        return check_study, run_dpo
    if study == "experts":
        from bezoar.studies.experts import check_study as check_experts
        from bezoar.studies.experts import run_experts

        return check_experts, run_experts
    if study == "sae":
        from bezoar.studies.sae import check_study as check_sae
        from bezoar.studies.sae import run_sae

        return check_sae, run_sae
    if study == "tune":
        from bezoar.studies.tune import check_tune, run_tune

        return check_tune, run_tune
    from bezoar.studies.audit import check_config as check_audit
    from bezoar.studies.audit import run_stages

    return check_audit, run_stages


def check_texts(config: AuditConfig) -> None:
    """Read what the options name, before a model or torch is loaded and a run folder is made.

    A wrong path or column is then an error of a second. Large files are only looked for: the run
    reads them again anyway.

    Raises:
        DataError: what reading them for the run would raise.
    """
    data = config.data
    root = None if data.root is None else Path(data.root)
    if root is not None and not root.is_dir():
        from bezoar.errors import DataError

        raise DataError(
            f"There is no folder {root} for data paths to start from.", hint="Check --data-root."
        )
    if _cheap(data.data, root):
        from bezoar.corpus import load_corpus

        load_corpus(data.data, **data.reading())
    if _cheap(data.prompts, root):
        from bezoar.corpus import load_prompts

        load_prompts(data.prompts, data_root=root)
    if _cheap(data.neutral, root):
        from bezoar.corpus import load_neutral

        load_neutral(data.neutral, data_root=root, reserved_only=data.reserved_only)


def _cheap(spec: str, root: Path | None) -> bool:
    """Whether a spec is read at once: a small file, or one that is not there."""
    if spec == "demo" or ("hub:" in spec and spec != "hub:"):
        return False
    if not Path(spec).exists():
        spec = spec.partition("#")[0]
    given = Path(spec if Path(spec).exists() else spec.partition(":")[2] or spec).expanduser()
    path = root / given if root is not None and (root / given).exists() else given
    files = path.iterdir() if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file()) <= LARGE
