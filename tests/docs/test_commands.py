"""Every command in the documentation is one that the command line accepts."""

from __future__ import annotations

import re
import shlex

import pytest

from bezoar import errors
from bezoar.cli.app import COMMANDS, load_command
from tests.docs.pages import PAGES, ROOT, commands

LINES = sorted({line for page in PAGES for line in commands(page)})


def test_there_are_commands_to_check():
    assert len(LINES) > 20


@pytest.mark.parametrize("line", LINES)
def test_a_documented_command_parses(line):
    _, name, *args = shlex.split(line, comments=True)
    if name == "--help":
        return
    if "--help" in args:
        assert name in COMMANDS
        return
    with load_command(name).make_context(name, args) as context:  # parsed, not run
        values = context.params
    for option in (arg for arg in args if arg.startswith("--set")):
        assert option == "--set"
    if values.get("assign"):
        from bezoar.cli.options import configure
        from bezoar.runs.config import STUDIES

        kind = STUDIES.get(str(values.get("study") or name), STUDIES["audit"])
        configure({}, assignments=list(values["assign"]), kind=kind)


def test_every_option_that_a_page_names_is_there():
    options = {
        name
        for command in COMMANDS
        for parameter in load_command(command).params
        for name in parameter.opts
    }
    for page in PAGES:
        named = set(re.findall(r"`(--[a-z][a-z-]*)", page.read_text(encoding="utf-8")))
        assert named <= options | {"--help", "--version"}, page.name


def test_the_page_lists_every_command_and_every_exit_status():
    page = (ROOT / "docs" / "command-line.md").read_text()
    for name in COMMANDS:
        assert f"`{name}" in page
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    statuses = {kind.exit_code for kind in kinds if issubclass(kind, errors.BezoarError)}
    assert statuses | {0, 130} == {int(n) for n in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
