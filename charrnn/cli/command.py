"""The base class of the commands: parsing that refuses ambiguous arguments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, ClassVar

import click

from charrnn.cli.terminal import naming_standard_output

HELP = {"help_option_names": ["-h", "--help"]}


class Command(click.Command):
    """A click command that refuses a single option given twice.

    By itself, click takes the last one. A flag may be repeated.

    Attributes:
        answers: options that do not exist, but that users might expect -> what to answer.
        never_suggested: options that are never suggested for a mistyped one.
    """

    answers: ClassVar[Mapping[str, str]] = {}
    never_suggested: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, name: str | None, **options: Any) -> None:
        super().__init__(name, **{"context_settings": HELP, **options})

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse `args` into the parameters of `ctx`.

        Raises:
            click.UsageError: an option that takes one value is given twice, or does not exist.
        """
        try:
            _, _, given = self.make_parser(ctx).parse_args(args=list(args))
        except click.NoSuchOption as error:
            raise self._answer(error, ctx) from None
        if not any(parameter.is_eager for parameter in given):  # --help is always answered
            _refuse_repeated(given, ctx)
        with naming_standard_output():  # click writes --help here
            return super().parse_args(ctx, args)

    def _answer(self, error: click.NoSuchOption, ctx: click.Context) -> click.UsageError:
        name = error.option_name
        if name in self.answers:
            return click.UsageError(f"{name} is {self.answers[name]}", ctx)
        near = error.possibilities or ()
        if not self.never_suggested.isdisjoint(near):
            near = ()
        return click.NoSuchOption(name, possibilities=near, ctx=ctx)


def _refuse_repeated(given: list[click.Parameter], ctx: click.Context) -> None:
    for parameter, count in Counter(given).items():
        if not isinstance(parameter, click.Option) or parameter.multiple or count == 1:
            continue
        if parameter.secondary_opts:
            both = "/".join([*parameter.opts, *parameter.secondary_opts])
            raise click.UsageError(f"{both} is given {count} times; decide on one", ctx)
        if not parameter.is_flag:
            name = max(parameter.opts, key=len)
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
