"""`bezoar explore`."""

from __future__ import annotations

from bezoar.cli import options as opt
from bezoar.cli.stages import run_stage


def command(
    model: opt.Model = None,
    data: opt.Data = None,
    text: opt.Text = None,
    label: opt.Label = None,
    data_root: opt.DataRoot = None,
    reserved_only: opt.Reserved = False,
    unmask: opt.Unmask = False,
    out: opt.Out = None,
    config: opt.Config = None,
    assign: opt.Set = None,
    quick: opt.Quick = False,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Describe the labelled texts: sizes, sources, lengths, duplicates."""
    run_stage("explore", locals())
