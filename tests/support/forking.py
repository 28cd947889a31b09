"""Fresh processes at the cost of a fork: one interpreter has imported torch and ours, and each case is a child of it.

A case sees nothing of another, and pays for no import. Where what is imported is itself the question, start an
interpreter instead.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

COMMAND = "import sys; from paramscope.cli import main; main(sys.argv[1:])"
"""The command line."""

_SERVER = '''
import importlib, json, os, signal, sys, traceback, types
import paramscope.capture, paramscope.cli, paramscope.rules, torch

HANGS = 300


def become(case):
    """What `python -c` would be with this code, in the child; ends it."""
    signal.alarm(HANGS)
    for number, path in enumerate((os.devnull, case["stdout"], case["stderr"])):
        opened = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(opened, number)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)
    os.environ.clear()
    os.environ.update(case["env"])
    os.chdir(case["cwd"])
    sys.path[:0] = case["path"]
    sys.argv = ["-c", *case["arguments"]]
    sys.modules["__main__"] = main = types.ModuleType("__main__")
    code = 0
    try:
        exec(compile(case["code"], case["name"], "exec"), vars(main))
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


for line in os.fdopen(os.dup(0)):
    case = json.loads(line)
    for name in case["imported"]:
        importlib.import_module(name)
    child = os.fork()
    if not child:
        become(case)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
'''


@cache
def _server() -> subprocess.Popen[str]:
    path = os.pathsep.join(filter(None, sys.path))
    server = subprocess.Popen(
        [sys.executable, "-c", _SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    # It ends when nothing more can be asked of it.
    atexit.register(server.communicate)
    return server


def run(
    code: str,
    *arguments: str,
    cwd: Path | None = None,
    path: Iterable[Path] = (),
    env: Mapping[str, str] | None = None,
    imported: Iterable[str] = (),
    name: str = "<string>",
) -> subprocess.CompletedProcess[str]:
    """What came of some code in a process of its own, as `subprocess.run` says it.

    path: folders that stand first in sys.path. env: what is added to the environment. imported: modules that take
    long, imported once for all cases that name them. name: the file that the code is said to be of.
    """
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    with tempfile.TemporaryDirectory() as folder:
        stdout, stderr = Path(folder, "stdout"), Path(folder, "stderr")
        case = {
            "code": code,
            "name": name,
            "arguments": arguments,
            "path": list(map(str, path)),
            "env": {**os.environ, **(env or {})},
            "cwd": str(cwd or Path.cwd()),
            "imported": list(imported),
            "stdout": str(stdout),
            "stderr": str(stderr),
        }
        server.stdin.write(json.dumps(case) + "\n")
        server.stdin.flush()
        answer = server.stdout.readline()
        assert answer, f"the process that is forked has ended with {server.wait()}"
        texts = (each.read_text(encoding="utf-8") for each in (stdout, stderr))
        return subprocess.CompletedProcess(["-c", *arguments], int(answer), *texts)


_NOT_TOO_LATE = ("-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning")


def run_pytest(
    *arguments: str, cwd: Path | None = None, imported: Iterable[str] = ()
) -> subprocess.CompletedProcess[str]:
    """A run of pytest in a process of its own, which had imported torch before it was asked."""
    code = "import sys, pytest; sys.exit(pytest.main(sys.argv[1:]))"
    # Another case may have had one of pytest's plugins imported, and pytest says that it is too late to rewrite that.
    return run(code, *_NOT_TOO_LATE, *arguments, cwd=cwd, imported=("pytest", *imported))
