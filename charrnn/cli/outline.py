"""Outlines of the commands: their options, without what they do.

Completion needs no more, and a command's own module imports NumPy. Outlines are made once for each
version of the program, and kept in the user's cache directory.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from charrnn.cli.command import PathName, RunName
from charrnn.errors import CharRNNError
from charrnn.storage.files import write_atomically
from charrnn.storage.places import cache_directory

PACKAGE = Path(__file__).resolve().parent.parent
FILE = "commands.json"
TYPES: dict[str, click.ParamType[Any]] = {
    "run": RunName(),
    "path": PathName(),
    "text": click.STRING,
}


def outlined(name: str, names: list[str]) -> click.Command:
    """The command `name` with options and arguments, which does nothing.

    Args:
        name: one of `names`.
        names: of all commands.
    """
    stamp = _stamp()
    known = _read(stamp)
    if known is None or name not in known:
        known = {each: _outline(each) for each in names}
        _write(stamp, known)
    return click.Command(name, params=[_parameter(each) for each in known[name]])


def _stamp() -> str:
    """Changes with every change of the program."""
    files = (
        (str(path.relative_to(PACKAGE)), status.st_mtime_ns, status.st_size)
        for path in sorted(PACKAGE.rglob("*.py"))
        for status in [path.stat()]
    )
    return hashlib.sha256(repr(list(files)).encode()).hexdigest()


def _read(stamp: str) -> dict[str, Any] | None:
    with suppress(OSError, ValueError, TypeError, LookupError):
        content = json.loads((cache_directory() / FILE).read_text(encoding="utf-8"))
        if content["stamp"] == stamp:
            return dict(content["commands"])
    return None


def _write(stamp: str, commands: dict[str, Any]) -> None:
    content = json.dumps({"stamp": stamp, "commands": commands})
    with suppress(OSError, CharRNNError):  # then they are made again next time
        cache_directory().mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(cache_directory() / FILE, content.encode())


def _outline(name: str) -> list[dict[str, Any]]:
    command: click.Command = importlib.import_module(f"charrnn.cli.{name}").command
    return [_described(each) for each in command.params]


def _described(parameter: click.Parameter) -> dict[str, Any]:
    option = parameter if isinstance(parameter, click.Option) else None
    kinds = (name for name, each in TYPES.items() if type(parameter.type) is type(each))
    choices = parameter.type.choices if isinstance(parameter.type, click.Choice) else ()
    return {
        "opts": [*([] if option else [parameter.name]), *(parameter.opts if option else [])],
        "secondary_opts": parameter.secondary_opts,
        "is_option": option is not None,
        "is_flag": option is not None and option.is_flag,
        "multiple": parameter.multiple,
        "nargs": parameter.nargs,
        "help": option.help if option else None,
        "type": next(kinds, "text"),
        "choices": list(choices),
    }


def _parameter(outline: dict[str, Any]) -> click.Parameter:
    kind = click.Choice(outline["choices"]) if outline["choices"] else TYPES[outline["type"]]
    if not outline["is_option"]:
        return click.Argument(outline["opts"], type=kind, nargs=outline["nargs"], required=False)
    names = list(outline["opts"])
    if outline["secondary_opts"]:
        names = ["/".join([*names, *outline["secondary_opts"]])]
    flag = outline["is_flag"]
    return click.Option(
        names,
        type=None if flag else kind,
        is_flag=flag,
        multiple=outline["multiple"],
        help=outline["help"],
    )
