"""TARGET → model: `path/model.py:build`, `package.module:attr`, with the optimizer that it brings.

Whatever goes wrong on the way becomes a TargetError that shows the user's own traceback and what to write instead.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import importlib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from paramscope.errors import TargetError, nearest
from paramscope.load.importing import (
    import_file,
    last_user_statements,
    own_arguments,
    search_path,
    stdout_to_stderr,
)
from paramscope.snapshot.hyperparameters import SPELLINGS
from paramscope.tracebacks import is_raised_in_user_code, user_traceback


class Target(NamedTuple):
    """What a TARGET turned out to be."""

    model: Any
    """A Module, or a dict of Modules by root name."""
    optimizer: Any
    """What came along with it: an optimizer, several, their schedulers with them, or None."""


def import_target(target: str, *, base: Path | None = None) -> None:
    """Imports the module or file of a TARGET, which `load_target` then finds imported. Raises TargetError."""
    _import(target, _split(target)[0], base or Path.cwd())


def load_target(
    target: str, *, arguments: Mapping[str, Any] | None = None, meta: bool = False, base: Path | None = None
) -> Target:
    """Imports what a TARGET names and builds the model.

    The attribute may be a Module, a Module class, or a callable that returns a Module, a `(model, optimizer)`
    pair, with or without a scheduler behind it, or a dict of roots; a class or callable is called with `arguments`.
    meta: build under `torch.device("meta")`, without memory. base: the folder that a relative path starts from.

    Raises TargetError.
    """
    folder = base or Path.cwd()
    thing = _resolve(target, folder)
    with _blaming(target, meta=meta), _running(target, folder):
        from paramscope.capture import is_module, on_meta

        if is_module(thing):
            if arguments:
                raise TargetError(f"{target} is already a module, so it takes no --arg", "Leave --arg out.")
            return Target(thing, None)
        if not callable(thing):
            raise TargetError(
                f"{target} is {_what(thing)}, neither a module nor a function that builds one",
                _choices(target, folder),
            )
        _check_arguments(target, thing, arguments or {})
        with on_meta() if meta else contextlib.nullcontext():
            built = thing(**(arguments or {}))
    return _as_target(target, built, is_module)


def load_optimizer(target: str, model: Any, *, base: Path | None = None) -> Any:
    """Imports what a TARGET names and calls it with the model; an Optimizer class gets its parameters.

    Returns an optimizer, a list of them, or a dict of them by name, as `audit` takes them: schedulers may stand among
    them. Raises TargetError.
    """
    folder = base or Path.cwd()
    thing = _resolve(target, folder)
    with _blaming(target), _running(target, folder):
        from paramscope.capture import has_optimizers, is_optimizer, is_optimizer_class

        if is_optimizer(thing):
            raise TargetError(
                f"{target} is already an optimizer, built for another model object",
                f"Name a function that builds it for the model it is called with: {_OPTIMIZER_EXAMPLE}",
            )
        if not callable(thing):
            raise TargetError(
                f"{target} is {_what(thing)}, not a function that builds an optimizer",
                f"Write one: {_OPTIMIZER_EXAMPLE}",
            )
        takes_parameters = is_optimizer_class(thing) or _first_argument(thing) in _PARAMETERS
        made = thing(_parameters_of(model) if takes_parameters else model)
        if not has_optimizers(made):
            raise TargetError(
                f"{target} returned {_what(made)}, not an optimizer",
                f"It has to return something with param_groups: {_OPTIMIZER_EXAMPLE}",
            )
    return made


_PARAMETERS = ("params", "parameters", "param_groups")
"""What a function calls its first argument that wants to be given the parameters, and not the model."""


def _first_argument(function: Callable[..., Any]) -> str | None:
    try:
        return next(iter(inspect.signature(function).parameters), None)
    except (TypeError, ValueError):  # a callable without a signature
        return None


def _parameters_of(model: Any) -> Iterator[Any]:
    """The parameters of a module, or of all roots."""
    return (
        each for root in (model.values() if isinstance(model, Mapping) else [model]) for each in root.parameters()
    )


@contextlib.contextmanager
def _running(target: str, base: Path) -> Iterator[None]:
    """The surroundings that the code of a target finds."""
    place, _ = _split(target)
    with search_path(*_folders(target, base)), own_arguments(place), stdout_to_stderr():
        yield


_OPTIMIZER_EXAMPLE = "def make(model): return torch.optim.AdamW(model.parameters(), lr=1e-3)"
_SHAPE_OF_TARGET = "A target is path/model.py:build or package.module:attr."


def _split(target: str) -> tuple[str, str]:
    """(file or module, attribute path) of a TARGET; the latter may be empty."""
    place, colon, attribute = target.rpartition(":")
    if not colon or "/" in attribute or "\\" in attribute:
        place, attribute = target, ""
    if not place or not all(part.isidentifier() for part in attribute.split(".") if attribute):
        raise TargetError(f"{target!r} is not a target", _SHAPE_OF_TARGET)
    return place, attribute


def _is_file(place: str) -> bool:
    return place.endswith(".py") or "/" in place or "\\" in place


def _folders(target: str, base: Path) -> tuple[Path, ...]:
    place, _ = _split(target)
    return ((base / place).resolve().parent,) if _is_file(place) else (base,)


def _resolve(target: str, base: Path) -> Any:
    """The object that a TARGET names."""
    place, attribute = _split(target)
    module = _import(target, place, base)
    if not attribute:
        raise TargetError(f"{target} does not say what to build", _choices(target, base))
    thing: Any = module
    try:
        for name in attribute.split("."):
            thing = getattr(thing, name)
    except AttributeError:
        raise TargetError(f"{place} has no {attribute!r}", _choices(target, base)) from None
    return thing


def _import(target: str, place: str, base: Path) -> ModuleType:
    if _is_file(place):
        path = base / place
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "does not exist"
            near = nearest(path.name, [p.name for p in path.parent.glob("*.py")], n=1)
            hint = f"Did you mean {Path(place).with_name(near[0]).as_posix()}?" if near else _SHAPE_OF_TARGET
            raise TargetError(f"{place} {what}", hint)
        with _blaming(target), own_arguments(place), stdout_to_stderr():
            return import_file(path)
    if not all(part.isidentifier() for part in place.split(".")):
        raise TargetError(f"{place!r} is neither a .py file nor a module name", _SHAPE_OF_TARGET)
    with _blaming(target), search_path(base), own_arguments(place), stdout_to_stderr():
        try:
            return importlib.import_module(place)
        except ModuleNotFoundError as error:
            if error.name and (place == error.name or place.startswith(error.name + ".")):
                raise TargetError(
                    f"no module named {error.name!r} is found from here",
                    f"Name the file instead ({place.replace('.', '/')}.py:…), or install the package.",
                ) from None
            raise


def _choices(target: str, base: Path) -> str:
    """Advice that lists what a target's module could build."""
    place, attribute = _split(target)
    module = _import(target, place, base)
    public = {name: value for name, value in vars(module).items() if not name.startswith("_")}
    near = nearest(attribute, public.keys() - {attribute}, n=1) if attribute else []
    if near:
        return f"Did you mean {place}:{near[0]}?"
    own = [
        name
        for name, value in public.items()
        if _is_module(value) or (callable(value) and getattr(value, "__module__", None) == module.__name__)
    ]
    # What a name says that it is for stands first.
    own.sort(key=lambda name: not re.match("build|make|create|get|model|net", name.lower()))
    if not own:
        return f"{place} defines nothing that could build a model."
    return "Write one of: " + ", ".join(f"{place}:{name}" for name in own[:6]) + (", …" if len(own) > 6 else "")


def _is_module(value: Any) -> bool:
    from paramscope.capture import is_module

    return is_module(value)


def _check_arguments(target: str, build: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
    """Raises TargetError where a call with these arguments cannot work."""
    try:
        signature = inspect.signature(build)
    except (TypeError, ValueError):  # a callable without one: the call itself will tell
        return
    known = signature.parameters.values()
    by_name = [p.name for p in known if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    if not any(p.kind is p.VAR_KEYWORD for p in known):
        for name in arguments:
            if name not in by_name:
                near = nearest(name, by_name, n=1)
                takes = f"Did you mean {near[0]}?" if near else f"It takes: {', '.join(by_name) or 'nothing'}."
                raise TargetError(f"{target} takes no argument {name!r}", takes)
    missing = [
        p.name
        for p in known
        if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL) and p.name not in arguments
    ]
    if missing:
        flags = " ".join(f"--arg {name}=…" for name in missing)
        raise TargetError(f"{target} needs {', '.join(missing)}", f"Pass a value for each: {flags}")


def _as_target(target: str, built: Any, is_module: Callable[[object], bool]) -> Target:
    """What a builder returned: a Module, a dict of roots, or either with an optimizer and its scheduler."""
    from paramscope.capture import has_optimizers

    if is_module(built) or _is_roots(built, is_module):
        return Target(built, None)
    if type(built) is tuple and len(built) > 1 and (is_module(built[0]) or _is_roots(built[0], is_module)):
        model, *others = built
        if len(others) == 1:
            return Target(model, others[0])
        if has_optimizers(others):
            return Target(model, others)
    forgot = "Did it forget to return the model?" if built is None else ""
    raise TargetError(
        f"{target} returned {_what(built)}, not a model",
        forgot or "It has to return an nn.Module, a (model, optimizer) pair, or a dict of modules by name.",
    )


def _is_roots(thing: Any, is_module: Callable[[object], bool]) -> bool:
    return isinstance(thing, Mapping) and bool(thing) and all(is_module(root) for root in thing.values())


def _what(thing: Any) -> str:
    if thing is None:
        return "None"
    if isinstance(thing, (list, tuple)):
        return f"a {type(thing).__name__} of {len(thing)}"
    kind = type(thing).__name__
    return f"an {kind}" if kind[0] in "aeiouAEIOU" else f"a {kind}"


@contextlib.contextmanager
def _blaming(target: str, *, meta: bool = False) -> Iterator[None]:
    """Turns what the user's code raises into a TargetError that shows where, and one line of advice."""
    try:
        yield
    except (TargetError, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001  # SystemExit too: a target that calls exit() is an error
        raise TargetError(
            f"{target} raised {type(error).__name__}", _advice(error, meta=meta), detail=user_traceback(error)
        ) from None


def _advice(error: BaseException, *, meta: bool) -> str:
    """One line on what to write instead."""
    text = str(error)
    unexpected = re.search(r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'", text)
    if unexpected:
        owner, word = unexpected.groups()
        right = SPELLINGS.get(word.lower())
        if right:
            mended = _renamed(last_user_statements(error), word, right) or f"{right}=… in place of {word}=…"
            return f"{owner} calls it {right}: write {mended}"
    assigned = re.search(r"cannot assign '.*' as parameter '(\w+)'", text)
    if assigned:
        mended = _wrapped(last_user_statements(error), assigned[1]) or f"{assigned[1]} = nn.Parameter(…)"
        return f"A registered parameter takes a Parameter: wrap it in nn.Parameter, {mended}"
    missing = re.search(r"missing \d+ required .*argument", text)
    if missing and isinstance(error, TypeError):
        names = re.findall(r"'(\w+)'", text[missing.end() :])
        return "Pass a value for each: " + " ".join(f"--arg {name}=…" for name in names)
    alone = re.search(r"(\w+)\(\) takes 0 positional arguments but 1 was given", text)
    if alone and isinstance(error, TypeError) and not is_raised_in_user_code(error):
        return f"It is called with the model: def {alone[1]}(model): …"
    if isinstance(error, ModuleNotFoundError):
        return f"Install {error.name}, or run this where it can be imported."
    if isinstance(error, SystemExit):
        return "A target must not exit: put the code that runs the training under `if __name__ == '__main__':`."
    if meta:
        return "This builder may need real values: try it without --meta."
    return "The error is in the target: once it runs by itself, this will, too."


def _renamed(statements: list[ast.stmt], word: str, right: str) -> str:
    """The one statement that calls something with a keyword, under another name; empty for none or several."""
    found = []
    for statement in statements:
        mended = copy.deepcopy(statement)
        keywords = [each for each in ast.walk(mended) if isinstance(each, ast.keyword) and each.arg == word]
        if len(keywords) == 1:
            keywords[0].arg = right
            found.append(ast.unparse(mended))
    return found[0] if len(found) == 1 else ""


def _wrapped(statements: list[ast.stmt], name: str) -> str:
    """The one assignment to an attribute of a name, its value in `nn.Parameter(…)`; empty for none or several."""
    found = []
    for statement in statements:
        match statement:
            case ast.Assign(targets=[ast.Attribute(attr=attr) as target], value=value):
                pass
            case ast.AnnAssign(target=ast.Attribute(attr=attr) as target, value=ast.expr() as value):
                pass
            case _:
                continue
        if attr == name:
            found.append(f"{ast.unparse(target)} = nn.Parameter({ast.unparse(value)})")
    return found[0] if len(found) == 1 else ""
