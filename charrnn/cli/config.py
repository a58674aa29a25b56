"""Read options from a TOML file, `--config FILE`: a table for each command, with options as keys.

[train]
minutes = 10
muon-rate = 0.01
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from charrnn.errors import SettingsError, suggestion
from charrnn.storage.files import explain

if TYPE_CHECKING:
    from charrnn.cli.command import Command

TOML = "tomllib" if sys.version_info >= (3, 11) else "tomli"


def read_config(name: str, command: Command, ctx: click.Context) -> dict[str, Any]:
    """The values for `command` in the file `name`: name of a parameter -> value.

    Raises:
        SettingsError: it cannot be read, is not TOML, or has unknown keys or impossible values.
    """
    tables = _read_toml(name)
    program = ctx.find_root().command
    commands = program.list_commands(ctx) if isinstance(program, click.Group) else tables
    for table, content in tables.items():
        if table not in commands:
            raise SettingsError(
                f"{name}: there is no command {table!r} for its table"
                f"{suggestion(table, commands)}"
            )
        if not isinstance(content, dict):
            raise SettingsError(
                f"{name}: {table} is not a table; write [{table}] above its options"
            )
    options = command.settable()
    found: dict[str, Any] = {}
    for key, value in tables.get(str(command.name), {}).items():
        option = options.get(key.replace("_", "-"))
        if option is None:
            raise SettingsError(
                f"{name}: charrnn {command.name} has no option {key!r}{suggestion(key, options)}"
            )
        found[str(option.name)] = _checked(f"{name}: {key}", value, option, ctx)
    return found


def _read_toml(name: str) -> dict[str, Any]:
    toml = importlib.import_module(TOML)
    try:
        content: dict[str, Any] = toml.loads(Path(name).read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(
            f"cannot read {name}: {explain(error)}; name a TOML file"
        ) from None
    except ValueError as error:  # not UTF-8, or not TOML
        raise SettingsError(f"{name} is not valid TOML: {error}") from None
    return content


def _checked(where: str, value: Any, option: click.Option, ctx: click.Context) -> Any:
    if isinstance(value, bool) != bool(option.is_flag) or isinstance(value, dict):
        kind = "true or false" if option.is_flag else "a value"
        raise SettingsError(f"{where} must be {kind}, not {value!r}")
    try:
        option.type_cast_value(ctx, value)
    except click.BadParameter as error:
        raise SettingsError(f"{where}: {error.message.rstrip('.')}") from None
    return value
