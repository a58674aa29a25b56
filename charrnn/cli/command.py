"""The base class of the commands: how arguments are read, and how help is laid out.

An option's value comes from the command line, else from a variable, else from the file of --config,
else from its default.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import click
from click.core import ParameterSource

from charrnn.cli.help_text import HelpFormatter, plain_record
from charrnn.cli.terminal import naming_standard_output, note
from charrnn.errors import suggestion

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

HELP = {"help_option_names": ["-h", "--help"]}
PREFIX = "CHARRNN"
CONFIG = "config"
OTHER_OPTIONS = "Other options"
LONGEST_NAME = 30
"""Columns; beside a longer option there is no explanation, but below it."""


class Context(click.Context):
    """click's context, with our help."""

    formatter_class = HelpFormatter


class Command(click.Command):
    """A click command with grouped help and examples, which refuses a single option given twice.

    By itself, click takes the last one. A flag may be repeated. Every option can also be given by a
    variable, `CHARRNN_<COMMAND>_<OPTION>`, and in a TOML file, `--config FILE`.

    Args:
        name: of the command.
        examples: commands that end its help; each can be run as it is.
        groups: heading -> options without dashes in front, in the order of the help. An option that
            is in none of them comes last, under OTHER_OPTIONS.
        alternatives: sets of parameters of which one counts: one given on the command line
            overrides all others of its set from elsewhere.
        options: of click.Command.

    Attributes:
        answers: options that do not exist, but that users might expect -> what to answer.
        never_suggested: options that are never suggested for a mistyped one, nor read from a
            variable or a file: what destroys something is typed each time.
    """

    context_class = Context
    answers: ClassVar[Mapping[str, str]] = {}
    never_suggested: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self,
        name: str | None,
        *,
        examples: Sequence[str] = (),
        groups: Mapping[str, Sequence[str]] | None = None,
        alternatives: Sequence[frozenset[str]] = (),
        **options: Any,
    ) -> None:
        super().__init__(name, **{"context_settings": HELP, **options})
        self.examples = tuple(examples)
        self.groups = dict(groups or {})
        self.alternatives = tuple(alternatives)
        self.params.append(_config_option())
        for each, option in self.settable().items():
            option.envvar = f"{PREFIX}_{name}_{each}".upper().replace("-", "_")

    def settable(self) -> dict[str, click.Option]:
        """The options that variables and files may give, by their names without dashes: `top-k`."""
        found = {
            _long_name(each): each
            for each in self.params
            if isinstance(each, click.Option) and each.name != CONFIG
        }
        return {
            name.lstrip("-"): each
            for name, each in found.items()
            if name not in self.never_suggested
        }

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse `args` into the parameters of `ctx`.

        Raises:
            click.UsageError: an option that takes one value is given twice, or does not exist.
            SettingsError: the file of --config does not fit.
        """
        try:
            _, _, given = self.make_parser(ctx).parse_args(args=list(args))
        except click.NoSuchOption as error:
            raise self._answer(error, ctx) from None
        if not any(each.is_eager and each.name != CONFIG for each in given):
            _refuse_repeated(given, ctx)  # but --help is always answered
            self._warn_of_unknown_variables()
        with naming_standard_output():  # click writes --help here
            try:
                rest = super().parse_args(ctx, args)
            except click.BadParameter as error:
                raise _naming_variable(error, ctx, given) from None
        for names in self.alternatives:
            _keep_the_nearest(ctx, names)
        return rest

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options in their groups."""
        sections = list(self._sections(ctx))
        names = [name for _, records in sections for name, _ in records]
        column = max(len(name) for name in names if len(name) <= LONGEST_NAME)
        for heading, records in sections:
            (name, text), *others = records
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(column), text), *others], LONGEST_NAME)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        if self.examples:
            with formatter.section("Examples"):
                indent = " " * formatter.current_indent
                formatter.write("".join(f"{indent}{example}\n" for example in self.examples))

    def _sections(self, ctx: click.Context) -> Iterator[tuple[str, list[tuple[str, str]]]]:
        shown = {
            _long_name(parameter).lstrip("-"): plain_record(record)
            for parameter in self.get_params(ctx)
            if isinstance(parameter, click.Option)
            and (record := parameter.get_help_record(ctx)) is not None
        }
        for heading, names in self.groups.items():
            records = [shown.pop(name) for name in names if name in shown]
            if records:
                yield heading, records
        if shown:
            yield OTHER_OPTIONS if self.groups else "Options", list(shown.values())

    def _answer(self, error: click.NoSuchOption, ctx: click.Context) -> click.UsageError:
        name = error.option_name
        if name in self.answers:
            return click.UsageError(f"{name} is {self.answers[name]}", ctx)
        near = error.possibilities or []  # the nearest first
        if not self.never_suggested.isdisjoint(near):
            near = []
        # One alone: click would show several in alphabetical order.
        return click.NoSuchOption(name, possibilities=near[:1], ctx=ctx)

    def _warn_of_unknown_variables(self) -> None:
        known = [str(option.envvar) for option in self.settable().values()]
        start = f"{PREFIX}_{self.name}_".upper()
        for variable in sorted(os.environ):
            if variable.startswith(start) and variable not in known:
                note(
                    f"warning: {variable} is ignored: charrnn {self.name} has no such option"
                    f"{suggestion(variable, known)}"
                )


def _long_name(option: click.Option) -> str:
    return max(option.opts, key=len)


def _config_option() -> click.Option:
    return click.Option(
        [f"--{CONFIG}"],
        type=PathName(),
        metavar="FILE",
        envvar=f"{PREFIX}_CONFIG",
        is_eager=True,  # before the options that it has values for
        expose_value=False,
        callback=_read_config,
        help="Take options from a TOML file: a table for each command, with options as keys.",
    )


def _read_config(ctx: click.Context, option: click.Parameter, value: str | None) -> None:
    if value is None or ctx.resilient_parsing:
        return
    from charrnn.cli.config import read_config

    assert isinstance(ctx.command, Command)
    ctx.default_map = read_config(value, ctx.command, ctx)


def _naming_variable(
    error: click.BadParameter, ctx: click.Context, given: list[click.Parameter]
) -> click.BadParameter:
    """`error`, saying where the value comes from if it is not from the command line."""
    option = error.param
    if isinstance(option, click.Option) and option not in given and isinstance(option.envvar, str):
        variable = option.envvar
        if os.environ.get(variable):
            return click.BadParameter(f"{error.message.rstrip('.')} (from {variable})", ctx, option)
    return error


def _keep_the_nearest(ctx: click.Context, names: frozenset[str]) -> None:
    """Of parameters that exclude each other, drop those that another one overrides."""
    order = list(ParameterSource)  # prompt, command line, environment, file, default
    given = {
        name: order.index(source)
        for name in names
        if ctx.params.get(name) is not None
        and (source := ctx.get_parameter_source(name)) is not None
    }
    for name, place in given.items():
        if place > min(given.values()):
            ctx.params[name] = None


def _refuse_repeated(given: list[click.Parameter], ctx: click.Context) -> None:
    for parameter, count in Counter(given).items():
        if not isinstance(parameter, click.Option) or parameter.multiple or count == 1:
            continue
        if parameter.secondary_opts:
            both = "/".join([*parameter.opts, *parameter.secondary_opts])
            raise click.UsageError(f"{both} is given {count} times; decide on one", ctx)
        if not parameter.is_flag:
            name = _long_name(parameter)
            raise click.UsageError(f"{name} is given {count} times; give it once", ctx)


class PathName(click.Path):
    """The name of a file or directory. An empty one (an unset shell variable) is refused."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        """As click does."""
        if value == "":
            self.fail("the name is empty", param, ctx)
        return super().convert(value, param, ctx)


class RunName(PathName):
    """A checkpoint: a path, the name of a run in checkpoints/, or of a model in the package."""

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The names of models, and files and directories."""
        from click.shell_completion import CompletionItem

        from charrnn.storage.runs import model_names

        names = [name for name in model_names() if name.startswith(incomplete)]
        # In bash, an entry for files discards those before it.
        return [*super().shell_complete(ctx, param, incomplete), *map(CompletionItem, names)]


class LabelName(click.ParamType[str]):
    """A label of the model that is meant."""

    name = "label"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The labels of the checkpoint named before, or of the one that is used by default."""
        from click.shell_completion import CompletionItem

        from charrnn.storage.summaries import label_names

        named = ctx.params.get("checkpoint") or None
        checkpoint = named if isinstance(named, str | None) else named[0]
        return [
            CompletionItem(name) for name in label_names(checkpoint) if name.startswith(incomplete)
        ]
