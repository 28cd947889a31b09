"""What the user's code raises → a TargetError that shows where, and one line on what to write instead."""

from __future__ import annotations

import ast
import contextlib
import copy
import re
from collections.abc import Iterator

from paramscope.errors import TargetError
from paramscope.load.importing import (
    is_on_import,
    last_user_statements,
    parses_command_line,
)
from paramscope.snapshot.hyperparameters import SPELLINGS
from paramscope.tracebacks import is_raised_in_user_code, user_traceback


@contextlib.contextmanager
def blaming(target: str, *, meta: bool = False, called_with: str = "") -> Iterator[None]:
    """Turns what the user's code raises into a TargetError that shows where, and one line of advice.

    called_with: what the target is given."""
    try:
        yield
    except (TargetError, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001  # SystemExit too: a target that calls exit() is an error
        raise TargetError(
            f"{target} raised {type(error).__name__}",
            _advice(error, target, meta=meta, called_with=called_with),
            detail=user_traceback(error),
        ) from None


def _advice(error: BaseException, target: str, *, meta: bool, called_with: str) -> str:
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
    if missing and isinstance(error, TypeError) and not is_raised_in_user_code(error):
        names = re.findall(r"'(\w+)'", text[missing.end() :])
        return "Pass a value for each: " + " ".join(f"--arg {name}=…" for name in names)
    alone = re.search(r"(\w+)\(\) takes 0 positional arguments but 1 was given", text)
    if alone and isinstance(error, TypeError) and not is_raised_in_user_code(error):
        return f"It is called with the model: def {alone[1]}(model): …"
    if isinstance(error, ModuleNotFoundError):
        return f"Install {error.name}, or run this where it can be imported."
    if isinstance(error, SystemExit) and parses_command_line(error):
        if is_on_import(error):
            return "The file parses the command line on import: move that under `if __name__ == '__main__':`."
        return "A target must not parse the command line: give it arguments of its own, which --arg passes."
    if isinstance(error, SystemExit):
        return "A target must not exit: put the code that runs the training under `if __name__ == '__main__':`."
    if meta:
        return "This builder may need real values: try it without --meta."
    if called_with:
        return f"The error is in {target}, called with {called_with}: mend that first."
    return "The error is in the target: mend that first."


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
