"""What the command line says of bad input: a short error, what to write instead, exit code 2, and nothing else."""

from __future__ import annotations

import json
import os
import pickle
import re
from pathlib import Path

import pytest
from support.targets import run, target_folder

folder = target_folder

# (arguments, what stderr says); the folder is written as TMP.
BAD_INPUT = [
    (
        ["net.py:build", "-o", "x.yaml"],
        "error: x.yaml: no format has the ending .yaml\nhelp: Say which: -f table; or write to a file that ends in .json, .md, .html or the name of another format.\n",
    ),
    (
        ["net.py:build", "--style", "latexbooktabs"],
        "error: there is no table style 'latexbooktabs'\nhelp: Did you mean latex_booktabs?\n",
    ),
    (
        ["net.py:build", "-f", "csv", "--style", "rst"],
        "error: the format csv takes no --style\nhelp: These do: table.\n",
    ),
    (
        ["net.py:build", "--path", "lin.[ab]"],
        "error: no slot matches 'lin.[ab]'\nhelp: Near it: lin.bias, lin. Note that brackets hold an index or ranges of numbers, layers[3] or layers.[0-6,8-31], and no set of characters.\n",
    ),
    (
        ["zz.py:build"],
        "error: zz.py does not exist\nhelp: A target is path/model.py:build or package.module:attr.\n",
    ),
    (["nett.py:build"], "error: nett.py does not exist\nhelp: Did you mean net.py?\n"),
    (["pkg/:build"], "error: pkg/ is a folder\nhelp: A target is path/model.py:build or package.module:attr.\n"),
    (["net.py:bulid"], "error: net.py has no 'bulid'\nhelp: Did you mean net.py:build?\n"),
    (
        ["net.py"],
        "error: net.py does not say what to build\nhelp: Write one of: net.py:Net, net.py:build, "
        "net.py:pair, net.py:roots, net.py:fails, net.py:forgets, …\n",
    ),
    (
        ["empty.py"],
        "error: empty.py does not say what to build\nhelp: empty.py defines nothing that could build a model.\n",
    ),
    (
        ["no_such_package.models:build"],
        "error: no module named 'no_such_package' is found from here\n"
        "help: Name the file instead (no_such_package/models.py:…), or install the package.\n",
    ),
    (
        ["not a target"],
        "error: 'not a target' is neither a .py file nor a module name\nhelp: A target is path/model.py:build or package.module:attr.\n",
    ),
    (
        ["broken.py:build"],
        'error: broken.py:build raised SyntaxError\n  File "TMP/broken.py", line 1\n    def build(:\n'
        "              ^\nSyntaxError: invalid syntax\n"
        "help: The error is in the target: mend that first.\n",
    ),
    (
        ["needs.py:build"],
        "error: needs.py:build raised ModuleNotFoundError\nTraceback (most recent call last):\n"
        '  File "TMP/needs.py", line 1, in <module>\n    import a_package_that_is_not_there\n'
        "ModuleNotFoundError: No module named 'a_package_that_is_not_there'\n"
        "help: Install a_package_that_is_not_there, or run this where it can be imported.\n",
    ),
    (
        ["net.py:fails"],
        "error: net.py:fails raised RuntimeError\nTraceback (most recent call last):\n"
        '  File "TMP/net.py", line N, in fails\n    return nn.Linear(3, 4)(torch.zeros(2, 5))\n'
        "           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n"
        "RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x5 and 3x4)\n"
        "help: The error is in the target: mend that first.\n",
    ),
    (
        ["net.py:bare_weight"],
        "error: net.py:bare_weight raised TypeError\nTraceback (most recent call last):\n"
        '  File "TMP/net.py", line N, in bare_weight\n    lin.weight = torch.rand(5, 3)\n'
        "    ^^^^^^^^^^\n"
        "TypeError: cannot assign 'torch.FloatTensor' as parameter 'weight' (torch.nn.Parameter or None expected)\n"
        "help: A registered parameter takes a Parameter: wrap it in nn.Parameter, lin.weight = nn.Parameter(torch.rand(5, 3))\n",
    ),
    (
        ["net.py:forgets"],
        "error: net.py:forgets returned None, not a model\nhelp: Did it forget to return the model?\n",
    ),
    (
        ["net.py:with_sizes"],
        "error: net.py:with_sizes returned a Net and a dict, which is no optimizer\n"
        "help: It has to return an nn.Module, a (model, optimizer) pair, or a dict of modules by name.\n",
    ),
    (
        ["net.py:gan"],
        "error: net.py:gan returned a tuple of 2, not a model\n"
        'help: Name each module, which is what its paths will begin with: return {"net": …, "linear": …}\n',
    ),
    (
        ["net.py:twins"],
        "error: net.py:twins returned a list of 3, not a model\n"
        'help: Name each module, which is what its paths will begin with: return {"net1": …, "net2": …}, [optimizer, …]\n',
    ),
    (
        ["net.py:other"],
        "error: net.py:other returned a list of 2, not a model\n"
        "help: It has to return an nn.Module, a (model, optimizer) pair, or a dict of modules by name.\n",
    ),
    (
        ["net.py:number"],
        "error: net.py:number is an int, neither a module nor a function that builds one\n"
        "help: Write one of: net.py:Net, net.py:build, net.py:pair, net.py:roots, net.py:fails, net.py:forgets, …\n",
    ),
    (
        ["net.py:stops"],
        "error: net.py:stops raised SystemExit\nTraceback (most recent call last):\n"
        '  File "TMP/net.py", line N, in stops\n    raise SystemExit(3)\nSystemExit: 3\n'
        "help: A target must not exit: put the code that runs the training under `if __name__ == '__main__':`.\n",
    ),
    (
        ["net.py:sized", "--arg", "dim=3"],
        "error: net.py:sized needs depth\nhelp: Pass a value for each: --arg depth=…\n",
    ),
    (
        ["net.py:build", "-O", "net.py:needs_rate"],
        "error: net.py:needs_rate needs lr\nhelp: Pass a value for each: --arg lr=…\n",
    ),
    (
        ["net.py:roots", "-O", "net.py:of_both"],
        "error: net.py:of_both needs criterion\nhelp: It is called with one dict, of all modules by name. "
        "Pass a value for each: --arg criterion=…\n",
    ),
    (
        ["net.py:calls_short"],
        "error: net.py:calls_short raised TypeError\n…"
        "TypeError: sized() missing 1 required positional argument: 'depth'\n"
        "help: The error is in the target: mend that first.\n",
    ),
    (["net.py:build", "--arg", "dims=3"], "error: net.py:build takes no argument 'dims'\nhelp: Did you mean dim?\n"),
    (
        ["net.py:built", "--arg", "dim=3"],
        "error: net.py:built is already a module, so it takes no --arg\nhelp: Leave --arg out.\n",
    ),
    (["net.py:build", "--arg", "dim"], "error: --arg 'dim' is not name=value\nhelp: Write --arg dim=…\n"),
    (["net.py:build", "--arg", "3"], "error: --arg '3' is not name=value\nhelp: Write --arg dim=…\n"),
    (
        ["net.py:build", "--arg", "dim=big"],
        "error: --arg dim: 'big' is not a Python literal\n"
        "help: Text needs quotes that reach paramscope: --arg dim=\"'big'\".\n",
    ),
    (
        ["net.py:build", "--arg", "dim=__import__('os').getpid()"],
        "error: --arg dim: \"__import__('os').getpid()\" is not a Python literal\n"
        "help: Text needs quotes that reach paramscope: --arg dim=\"'__import__('os').getpid()'\".\n",
    ),
    (
        ["net.py:build", "--arg", "dim=1", "--arg", "dim=2"],
        "error: --arg dim was given twice\nhelp: Keep one of them.\n",
    ),
    (
        ["net.py:build", "-O", "net.py:wrong_name"],
        "error: net.py:wrong_name raised TypeError\nTraceback (most recent call last):\n"
        '  File "TMP/net.py", line N, in wrong_name\n'
        "    return torch.optim.Adam(model.parameters(), learning_rate=0.001)\n"
        "           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n"
        "TypeError: Adam.__init__() got an unexpected keyword argument 'learning_rate'\n"
        "help: Adam calls it lr: write return torch.optim.Adam(model.parameters(), lr=0.001)\n",
    ),
    (
        ["net.py:build", "-O", "ready.py:optimizer"],
        "error: ready.py:optimizer is an optimizer that steps no parameter of net.py:build: it was made for another model "
        "object\nhelp: Name a function that makes it for the model it is called with: def make(model): return "
        "torch.optim.AdamW(model.parameters(), lr=1e-3)\n",
    ),
    (
        ["net.py:build", "-O", "net.py:number"],
        "error: net.py:number is an int, not a function that makes an optimizer\nhelp: Write one: def make(model): "
        "return torch.optim.AdamW(model.parameters(), lr=1e-3)\n",
    ),
    (
        ["net.py:build", "-O", "train.py"],
        "error: train.py does not say what makes the optimizer\n"
        "help: Write one of: train.py:make_sgd, train.py:schedule\n",
    ),
    (["net.py:build", "-O", "adm"], "error: net.py has no 'adm'\nhelp: Did you mean net.py:adam?\n"),
    (
        ["net.py:build", "-O", "train.make_sgd"],
        "error: 'train.make_sgd' is not a module\nhelp: Write a colon before what is in the module: train:make_sgd\n",
    ),
    (
        ["net.Net.build"],
        "error: 'net.Net' is not a module\nhelp: Write a colon before what is in the module: net:Net.build\n",
    ),
    (
        ["net.py:build", "-O", "net.py:rated", "--arg", "rl=1"],
        "error: neither the target nor what -O names takes an argument 'rl'\n"
        "help: The signatures are net.py:build(dim) and net.py:rated(model, lr).\n",
    ),
    (
        ["net.py:built", "-O", "net.py:rated", "--arg", "lrr=1"],
        "error: neither the target nor what -O names takes an argument 'lrr'\n"
        "help: Did you mean lr? The signatures are net.py:built (already built) and net.py:rated(model, lr).\n",
    ),
    (
        ["net.py:build", "-O", "net.py:rated", "--arg", "model=1"],
        "error: neither the target nor what -O names takes an argument 'model'\n"
        "help: The signatures are net.py:build(dim) and net.py:rated(model, lr).\n",
    ),
    (
        ["parses_on_import.py:build"],
        "usage: …error: parses_on_import.py:build raised SystemExit\n…SystemExit: 2\n"
        "help: The file parses the command line on import: move that under `if __name__ == '__main__':`.\n",
    ),
    (
        ["parses.py:parse"],
        "usage: …error: parses.py:parse raised SystemExit\n…SystemExit: 2\n"
        "help: A target must not parse the command line: give it arguments of its own, which --arg passes.\n",
    ),
    (
        ["net.py:build", "-O", "net.py:no_optimizer"],
        "error: net.py:no_optimizer returned a Net, not an optimizer\nhelp: It has to return something with param_groups: "
        "def make(model): return torch.optim.AdamW(model.parameters(), lr=1e-3)\n",
    ),
    (
        ["net.py:build", "-O", "net.py:only_groups"],
        "error: net.py:only_groups returned param groups, which have no optimizer yet\n"
        "help: Hand them to one, and return that: return torch.optim.AdamW(groups, lr=1e-3)\n",
    ),
    (
        ["net.py:build", "--path", ""],
        "error: an empty path glob matches nothing\nhelp: Write a path or a pattern: 'head.weight', '*.bias'.\n",
    ),
    (
        ["net.py:build", "--path", "lim.*"],
        "error: no slot matches 'lim.*'\nhelp: Near it: lin.\n",
    ),
    (
        ["net.py:build", "--path", "lin.wieght"],
        "error: no slot matches 'lin.wieght'\nhelp: Near it: lin.weight, lin.bias.\n",
    ),
    (["--frobnicate", "net.py:build"], "error: there is no option --frobnicate\nhelp: Did you mean --format?\n"),
    (["net.py:build", "--deph", "1"], "error: there is no option --deph\nhelp: Did you mean --depth?\n"),
    (
        ["net.py:build", "--xyz"],
        "error: there is no option --xyz\nhelp: `paramscope inspect --help` lists what it takes.\n",
    ),
    (
        [],
        "error: TARGET is missing\n"
        "help: Write paramscope inspect TARGET; `paramscope inspect --help` lists what it takes.\n",
    ),
    (
        ["net.py:build", "--depth", "two"],
        "error: invalid value for '--depth': 'two' is not a valid integer\n"
        "help: `paramscope inspect --help` lists what it takes.\n",
    ),
    (
        ["net.py:build", "-O"],
        "error: option '-O' requires an argument\nhelp: `paramscope inspect --help` lists what it takes.\n",
    ),
    (["net.py:build", "-f", "tabel"], "error: there is no format 'tabel'\nhelp: Did you mean table?\n"),
    (
        ["net.py:build", "-f", "json", "--path", "*"],
        "error: the format json takes no --path\nhelp: These do: …\n",
    ),
    (
        ["net.py:build", "--status", "frosen"],
        "error: there is no status 'frosen'\nhelp: Choose from trainable, frozen, hidden, buffer, attribute, empty, "
        "unknown, shared, stepped, not-stepped.\n",
    ),
    (["net.py:build", "--columns", "shapes"], "error: there is no column 'shapes'\nhelp: Choose from path, …\n"),
    (
        ["net.py:build", "--depth", "-1"],
        "error: a depth cannot be -1\n"
        "help: It is a number of steps below the root: 0 closes the root itself, 1 its children.\n",
    ),
    (["net.py:build", "--sort", "size"], "error: lines cannot be sorted by 'size'\nhelp: Sort by model, path, …\n"),
    (
        ["net.py:build", "-o", "no/such/folder/report.json"],
        "error: no/such/folder/report.json cannot be written: no/such/folder is not a folder\n"
        "help: mkdir -p no/such/folder\n",
    ),
    (["net.py:build", "-o", "pkg"], "error: pkg is a folder\nhelp: Name a file in it: pkg/report.json\n"),
    (
        ["net.py:build", "-o", "/dev/full"],
        "error: /dev/full cannot be written: No space left on device\n"
        "help: Name a file in a folder that you may write to.\n",
    ),
    (
        ["missing.json"],
        "error: missing.json cannot be read: No such file or directory\nhelp: Check the path and its permissions.\n",
    ),
    (
        ["missing.json", "-O", "net.py:adam"],
        "error: missing.json is a saved report: nothing is built, so -O, --arg, --meta, --ranks, --run, --inputs, --input-size and --loss do not apply\n"
        "help: Leave them out, or name the code: path/model.py:build.\n",
    ),
]


def without_carets(text: str) -> str:
    """Tracebacks underline more from one Python to the next."""
    return re.sub(r"^ *[~^]+\n", "", text, flags=re.MULTILINE)


@pytest.mark.parametrize(("arguments", "says"), BAD_INPUT, ids=[" ".join(each) for each, _ in BAD_INPUT])
def test_bad_input(folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str) -> None:
    before = sorted(folder.rglob("*"))
    assert run("inspect", *arguments) == 2
    out, err = capsys.readouterr()
    shown = err.replace(str(folder.resolve()), "TMP").replace("importing\n", "").replace("building\n", "")
    shown = re.sub(r"net.py\", line \d+", 'net.py", line N', shown)
    # `…` stands for the rest of a list that grows.
    wanted = "".join(".*" if part == "…" else re.escape(part) for part in re.split("(…)", without_carets(says)))
    assert re.fullmatch(wanted, without_carets(shown), re.DOTALL), shown
    assert out == ""
    assert [path for path in sorted(folder.rglob("*")) if "__pycache__" not in str(path)] == before


def _report(folder: Path) -> dict[str, object]:
    path = folder / "good.json"
    assert run("inspect", "net.py:build", "-O", "net.py:adam", "-o", str(path)) == 0
    found: dict[str, object] = json.loads(path.read_text())
    return found


def _set(value: object, *steps: str | int) -> object:
    """An edit of a report: the value at a path of keys."""

    def edit(report: dict[str, object]) -> dict[str, object]:
        at: object = report
        for step in steps[:-1]:
            at = at[step]  # type: ignore[index]
        at[steps[-1]] = value  # type: ignore[index]
        return report

    return edit


HOSTILE = {
    "newer": (_set(2, "version"), "has version 2, and this paramscope reads up to version 1"),
    "foreign": (_set("other.report", "format"), "is no paramscope report"),
    "version is text": (_set("1", "version"), "version is not 1"),
    "no slots": (_set(None, "slots"), "slots is missing"),
    "slots are text": (_set("many", "slots"), "slots should be a list"),
    "negative size": (_set([-1, 3], "slots", 0, "shape"), "slots[0].shape cannot be a list"),
    "huge number": (_set(10**30, "slots", 0, "numel"), "slots[0].numel cannot be"),
    "unknown role": (_set("weight", "slots", 0, "role"), "slots[0].role cannot be 'weight'"),
    "tensor out of range": (_set(99, "slots", 0, "tensor"), "slots[0].tensor is out of range"),
    "storage out of range": (_set(99, "slots", 0, "storage"), "views no storage that is there"),
    "no such module": (_set("gone", "slots", 0, "module"), "slots[0] has no such module"),
    "another path": (_set("lin.wait", "slots", 0, "path"), "slots[0] contradicts itself or its module"),
    "fate edited": (_set(False, "slots", 0, "saved"), "slots[0] contradicts itself or its module"),
    "totals edited": (_set(7, "totals", "parameters"), "totals do not agree with the slots"),
    "optimizer's slot": (_set(["gone"], "optimizers", 0, "groups", 0, "slots"), "names a slot that is not there"),
    "object behind": (_set(5, "modules", 0, "object"), "modules[0].object points behind itself"),
    "no roots": (_set([], "model", "roots"), "model.roots is missing"),
    "other root": (_set(["gone"], "model", "roots"), "root 'gone' is not among the modules"),
    "finding nowhere": (
        _set(
            [
                {
                    "code": "X",
                    "name": "x",
                    "severity": "error",
                    "message": "",
                    "paths": [],
                    "location": None,
                    "help": "",
                }
            ],
            "findings",
        ),
        "findings[0].paths cannot be a list",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_report_that_says_what_it_cannot_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    edit, says = HOSTILE[name]
    path = folder / "bad.json"
    path.write_text(json.dumps(edit(_report(folder))))  # type: ignore[operator]
    capsys.readouterr()
    assert run("inspect", "bad.json") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert err.startswith("error: bad.json: ")
    assert "help: " in err
    assert "Traceback" not in err


class _Bomb:
    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("touch exploded",)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "this report ends too early"),
        (b'{"format": "paramscope.report", "version": 1, "slots": [', "this report ends too early"),
        (b"hello", "this report is no JSON (line 1, column 1"),
        (b"[1, 2]", "this JSON is no paramscope report"),
        (b"[" * 200_000, "this JSON is nested too deeply to be a report"),
        (b'{"a":' * 200_000, "this JSON is nested too deeply to be a report"),
        (b'{"format": NaN}', "holds a number that no report holds: NaN"),
        (b"9" * 5_000, "holds a number that no report holds"),
        (b"\xff\xfe\x00\xd8", "this is no JSON text (and pickles are never opened)"),
        (pickle.dumps(_Bomb()), "pickles are never opened"),
    ],
)
def test_what_is_no_report_is_refused_and_never_unpickled(
    folder: Path, capsys: pytest.CaptureFixture[str], data: bytes, says: str
) -> None:
    (folder / "bad.json").write_bytes(data)
    assert run("inspect", "bad.json") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert not (folder / "exploded").exists()


def test_a_report_that_is_too_large_is_not_read(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _report(folder)
    monkeypatch.setattr("paramscope.wire.reader.MAX_BYTES", 100)
    capsys.readouterr()
    assert run("inspect", "good.json") == 2
    assert "reports above 100 are not read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("inspct", "error: there is no command 'inspct'\nhelp: Did you mean inspect?\n"),
        (
            "frobnicate",
            "error: there is no command 'frobnicate'\nhelp: Commands: check, diff, explain, graph, inspect, lock, merge, rules.\n",
        ),
    ],
)
def test_a_command_that_does_not_exist(command: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command, "x") == 2
    assert capsys.readouterr() == ("", said)


def test_the_names_that_are_offered_begin_with_what_builds(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    functions = "".join(f"def helper_{number}():\n    pass\n" for number in range(9))
    (folder / "many.py").write_text(f"{functions}def build():\n    pass\n")
    assert run("inspect", "many.py") == 2
    assert "help: Write one of: many.py:build, many.py:helper_0" in capsys.readouterr().err
    part = "class Part(nn.Module):\n    def __init__(self, width):\n        super().__init__()\n"
    makers = "def opt_all(model, lr=1e-3):\n    pass\ndef sized(width):\n    pass\ndef build(width=3):\n    pass\n"
    (folder / "one.py").write_text(f"from torch import nn\n{part}class Sizes:\n    pass\n{makers}")
    for target in ("one.py", "one.py:qqq"):
        assert run(target) == 2
        assert capsys.readouterr().err.endswith("help: Write one of: one.py:build, one.py:sized\n")


def test_a_report_that_is_not_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("net.py:build", "-o", "old.json") == 0
    assert run("oldd.json") == 2
    assert capsys.readouterr().err.endswith("No such file or directory\nhelp: Did you mean old.json?\n")
