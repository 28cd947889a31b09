"""What takes long shows how far it is on a terminal, and nowhere else; and an interrupt is answered at once."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from support.forking import COMMAND, run
from torch import nn

from paramscope import capture
from paramscope.cli._waiting import waiting
from paramscope.render.picture import _layout

MODELS = """
import time
import torch
from torch import nn

def large():
    # Views of one memory: 64 GiB to read, and 64 MiB to hold.
    piece = torch.rand(1 << 24)
    model = nn.Module()
    for number in range(1024):
        model.register_parameter(f"weight{number}", nn.Parameter(piece.view(1 << 12, 1 << 12)))
    return model

def small():
    model = nn.Linear(2, 2)
    model.hidden = [nn.Linear(2, 2)]
    return model

def never():
    time.sleep(600)

def late():
    time.sleep(2)
    return nn.Linear(2, 2)
"""
DRIVER = """
import json, os, pty, re, signal, sys, threading, time
from paramscope.cli import main

pattern, *arguments = sys.argv[1:]
# Whoever runs the tests in the background hands down that interrupts are ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
ours, theirs = pty.openpty()
told, sys.stderr = sys.stderr, open(theirs, "w", buffering=1)
shown, sent = b"", []

def watch():
    global shown
    while part := os.read(ours, 4096):
        shown += part
        if b"THE END" in shown:
            return
        if pattern and not sent and re.search(pattern, shown.decode(errors="replace")):
            sent.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGINT)

watching = threading.Thread(target=watch)
watching.start()
try:
    main(arguments)
except SystemExit as end:
    code = end.code
waited = time.monotonic() - sent[0] if sent else 0
sys.stderr.write("THE END")
sys.stderr.flush()
watching.join()
json.dump([waited, shown.decode(errors="replace").replace("THE END", "")], told)
told.flush()
sys.exit(code)
"""
"""The command line, its stderr a terminal; it is sent an interrupt when the terminal shows a pattern."""


class Ended(NamedTuple):
    """What became of a command."""

    code: int
    printed: str
    shown: str
    """All that its terminal was sent."""
    waited: float
    """Seconds from the interrupt to the end."""

    @property
    def left(self) -> str:
        r"""What is left to see on the terminal: `\r\x1b[K` clears a line."""
        lines = self.shown.replace("\r\n", "\n").split("\n")
        return "\n".join(line.rpartition("\r\x1b[K")[2] for line in lines).strip()


def on_a_terminal(folder: Path, *arguments: str, until: str = "", terminal: str = "xterm") -> Ended:
    """A command in a process of its own. until: a pattern, shown what it is interrupted."""
    done = run(DRIVER, until, *arguments, cwd=folder, env={"TERM": terminal})
    waited, shown = json.loads(done.stderr)
    return Ended(done.returncode, done.stdout, shown, waited)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working directory with the models in it."""
    (tmp_path / "models.py").write_text(MODELS)
    return tmp_path


def test_values_show_a_bar_and_an_interrupt_says_how_far_they_were_read(folder: Path) -> None:
    bar = r"auditing models\.py:large … \d+ s \[#+-+\] \d+\.\d %"
    ended = on_a_terminal(folder, "check", "models.py:large", "--values", until=bar)
    assert (ended.code, ended.printed) == (130, "")
    assert re.fullmatch(r"interrupted while auditing models\.py:large, \d+\.\d % done", ended.left)
    # It takes far less than a second; the machine may be busy.
    assert ended.waited < 30


def test_a_line_is_cleared_when_all_is_done_and_no_longer_than_the_terminal_is_wide(folder: Path) -> None:
    name = "models_" + "x" * 90
    (folder / "models.py").rename(folder / f"{name}.py")
    ended = on_a_terminal(folder, f"{name}.py:late")
    assert (ended.code, ended.left) == (0, "")
    assert "Linear" in ended.printed
    lines = [each.partition("\r")[0] for each in ended.shown.split("\r\x1b[K")]
    assert f"building {name}.py:late"[:79] in lines
    assert max(map(len, lines)) == 79


def test_nothing_is_shown_where_a_line_cannot_be_redrawn(folder: Path) -> None:
    ended = on_a_terminal(folder, "models.py:late", terminal="dumb")
    assert (ended.code, ended.shown) == (0, "")
    done = run(COMMAND, "models.py:late", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Linear" in done.stdout


def test_what_was_judged_before_an_interrupt_is_listed(folder: Path) -> None:
    targets = ("models.py:small", "models.py:nothing", "models.py:never", "models.py:late")
    ended = on_a_terminal(
        folder, "check", *targets, "--select", "PS101", until=r"building models.py:never \(3 of 4\) … "
    )
    assert ended.code == 130
    assert "error PS101 module-in-container" in ended.printed
    assert "2 targets, 1 of them failed: 1 error" in ended.printed
    assert "models.py has no 'nothing'" in ended.left
    assert ended.left.endswith("\ninterrupted while building models.py:never: 2 of 4 targets were checked")


@pytest.mark.parametrize(
    "options",
    [("-f", "sarif"), ("-o", "found.txt"), ("--write-baseline", "old.json", "-f", "json"), ("--update-lock",)],
)
def test_what_is_read_by_a_program_or_kept_is_whole_or_not_there(folder: Path, options: tuple[str, ...]) -> None:
    targets = ("models.py:small", "models.py:never")
    ended = on_a_terminal(folder, "check", *targets, *options, until="building models.py:never")
    assert ended.code == 130
    assert bool(ended.printed) is (options == ("--update-lock",))
    assert {each.name for each in folder.iterdir()} - {"__pycache__"} == {"models.py"}


def test_of_several_models_to_lock_it_is_said_which(folder: Path) -> None:
    targets = ("models.py:small", "models.py:never")
    ended = on_a_terminal(folder, "lock", *targets, until=r"building models.py:never \(2 of 2\) … ")
    assert (ended.code, ended.left) == (130, "interrupted while building models.py:never")
    assert not (folder / "paramscope.lock").exists()


def test_of_what_waits_for_another_the_inmost_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.openpty()
    with open(theirs, "w", buffering=1) as terminal, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", terminal)
        with waiting("asking all ranks"), waiting("auditing"):
            time.sleep(2)
        terminal.write("THE END\n")
        shown = b""
        while b"THE END" not in shown:
            shown += os.read(ours, 4096)
    os.close(ours)
    assert b"auditing \xe2\x80\xa6 1 s" in shown
    assert b"asking" not in shown


def test_an_interrupted_inspection_shows_nothing(folder: Path) -> None:
    ended = on_a_terminal(folder, "models.py:never", until="building models.py:never")
    assert (ended.code, ended.printed, ended.left) == (130, "", "interrupted while building models.py:never")


# Python does not wait for a child that it has ended because of an interrupt.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_comes_through_while_graphviz_draws() -> None:
    """For minutes, as to lay this out would take."""
    edges = "".join(f"a{each} -> a{each * 7919 % 6000}; a{each} -> a{each * 104729 % 6000};" for each in range(6000))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT)).start()
        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            _layout.lay_out(f"digraph {{ {edges} }}", "svg")
        assert time.monotonic() - started < 60
    finally:
        signal.signal(signal.SIGINT, before)


def test_progress_counts_elements_up_to_all() -> None:
    model = nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 2), nn.LazyLinear(7))
    calls: list[tuple[int, int]] = []
    seen = capture(model, values=True, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(15, 32), (20, 32), (30, 32), (32, 32)]
    assert seen == capture(model, values=True)
    assert capture(model, progress=lambda done, total: calls.append((done, total))) == capture(model)
    assert len(calls) == 4
