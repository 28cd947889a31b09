"""The command line: a file a command, found by its name. No command imports torch before it has to."""

from __future__ import annotations

import gc
import importlib
import pkgutil
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import click

from paramscope.errors import ParamscopeError, nearest
from paramscope.version import __version__

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class UnknownCommand(ParamscopeError):
    """A word in the place of a command that is neither one nor a target."""


class UsageError(ParamscopeError):
    """An option that there is not, an argument that is missing, and the like."""


class Commands(click.Group):
    """The commands are the files of this folder, imported on first use. A TARGET in the place of one is inspected."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        names = (module.name for module in pkgutil.iter_modules(__path__))
        return sorted(name for name in names if not name.startswith("_"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(f"{__name__}.{cmd_name}").command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            command = self.get_command(ctx, ctx.invoked_subcommand or "")
            if error.ctx is None and command is not None:  # click does not say whose option lacks its value
                error.ctx = click.Context(command, parent=ctx, info_name=command.name)
            raise

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            raise click.UsageError(ctx.get_help(), ctx)  # click 8.1 would exit with 0
        if args and args[0].startswith("-") and self._is_of_inspect(ctx, args[0].partition("=")[0]):
            args = ["inspect", *args]
        return super().parse_args(ctx, args)

    def _is_of_inspect(self, ctx: click.Context, option: str) -> bool:
        """Whether an option that stands before everything is one of `inspect`, and none of ours."""
        if option in _options(self, ctx):
            return False
        inspect = self.get_command(ctx, "inspect")
        return inspect is not None and option in _options(inspect, ctx)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is not None:
            return super().resolve_command(ctx, args)
        # NOTE: one without a colon is answered as a target, too: it says what is missing.
        if not name.isidentifier() and not name.startswith("-"):
            return super().resolve_command(ctx, ["inspect", *args])
        if ctx.resilient_parsing:  # while a shell completes
            return None, None, args
        from paramscope.cli._input import project

        models = [model.name for model in project().models]
        if name in models:
            return super().resolve_command(ctx, ["inspect", *args])
        near = nearest(name, [*self.list_commands(ctx), *models])
        commands = ", ".join(self.list_commands(ctx))
        raise UnknownCommand(
            f"there is no command {name!r}", f"Did you mean {near[0]}?" if near else f"Commands: {commands}."
        )

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from paramscope.cli._completing import targets

        return [*targets(ctx, None, incomplete), *super().shell_complete(ctx, incomplete)]


def _options(command: click.Command, ctx: click.Context) -> set[str]:
    return {each for parameter in command.get_params(ctx) for each in parameter.opts}


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="paramscope %(version)s", help="Show the version.")
def cli() -> None:
    """What is in an nn.Module, what will train, be saved, move, share memory, and be stepped.

    TARGET is path/model.py:build, package.module:attr, a saved report (.json), or the name of a model that
    pyproject.toml declares. Without a command it is inspected:

    paramscope model.py:build
    """


def main(arguments: list[str] | None = None) -> NoReturn:
    """Runs the command line and exits: 0, 1 where a check found something, or 2 with a short error on stderr."""
    try:
        code = cli.main(args=arguments, prog_name="paramscope", standalone_mode=False)
    except click.exceptions.Abort as abort:
        interrupt = abort.__cause__ or abort.__context__  # click 8.1 names no cause
        during = f" {interrupt}" if isinstance(interrupt, KeyboardInterrupt) else ""
        click.echo(f"interrupted{during}".rstrip(), err=True)
        sys.exit(130)
    except click.UsageError as error:
        if error.ctx is not None and not error.ctx.args and error.message == error.ctx.get_help():
            click.echo(error.message, err=True)  # without any arguments
        else:
            click.echo(error_text(as_usage_error(error)), err=True)
        sys.exit(error.exit_code)
    except ParamscopeError as error:
        click.echo(error_text(error), err=True)
        sys.exit(error.exit_code)
    sys.exit(code if isinstance(code, int) else 0)


def run() -> NoReturn:
    """As `main`, for the program `paramscope`, which is the whole process: ends it without tearing it down.

    It is short-lived, and nearly all that it makes stays: modules and a model. A full collection in the middle, which
    importing torch and ours would set off, takes longer than looking at the model.
    """
    gc.set_threshold(50_000, 20, 100)
    try:
        main()
    except SystemExit as end:
        if type(end.code) is int:
            from paramscope.cli._leaving import leave

            leave(end.code)
        raise


def as_usage_error(error: click.UsageError) -> UsageError:
    """What click says of a command line, in the words and the shape of every other error."""
    path = error.ctx.command_path if error.ctx is not None else "paramscope …"
    advice = f"`{path} --help` lists what it takes."
    match error:
        case click.NoSuchOption(option_name=name):
            parameters = error.ctx.command.params if error.ctx is not None else []
            near = nearest(name, [each for parameter in parameters for each in parameter.opts if each[:1] == "-"])
            return UsageError(f"there is no option {name}", f"Did you mean {near[0]}?" if near else advice)
        case click.MissingParameter(param=click.Parameter() as parameter):
            name = parameter.human_readable_name.rstrip(".")
            return UsageError(f"{name} is missing", f"Write {path} {name}; {advice}")
    words = error.format_message().rstrip(".")
    return UsageError(words[:1].lower() + words[1:], advice)


def error_text(error: ParamscopeError) -> str:
    """The problem, the traceback of the user's own code if there is one, and what to write instead."""
    parts = [f"error: {error.problem}", error.detail, f"help: {error.advice}" if error.advice else ""]
    return "\n".join(part for part in parts if part)
