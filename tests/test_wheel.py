"""What a release ships: the wheel, and a wheel from the sdist, as hatchling builds them."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def built(kind: str, source: Path, folder: Path) -> Path:
    """What hatchling makes of a source: `wheel` or `sdist`."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (found,) = folder.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return found


def contents(wheel: Path) -> dict[str, bytes]:
    """By name."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    found = contents(wheel)
    assert {name.partition("/")[0] for name in found} == {
        "paramscope", "pytest_paramscope", f"{wheel.name.removesuffix('-py3-none-any.whl')}.dist-info",
    }  # fmt: skip
    for folder, package in ((ROOT, "paramscope"), (ROOT / "plugins", "pytest_paramscope")):
        ours = {
            path.relative_to(folder).as_posix()
            for path in (folder / package).rglob("*")
            if path.is_file() and path.suffix != ".pyc"
        }
        assert ours == {name for name in found if name.startswith(f"{package}/")}
    assert "paramscope/py.typed" in found
    (entries,) = (text.decode() for name, text in found.items() if name.endswith("entry_points.txt"))
    assert "paramscope = paramscope.cli:run" in entries
    assert "paramscope = pytest_paramscope" in entries


def test_the_extras_name_what_is_optional(wheel: Path) -> None:
    (metadata,) = (message_from_bytes(text) for name, text in contents(wheel).items() if name.endswith("/METADATA"))
    wanted = [each for each in metadata.get_all("Requires-Dist") or [] if each.endswith("extra == 'all'")]
    assert {each.partition(">")[0].partition(";")[0] for each in wanted} == {
        "accelerate", "lightning", "pygraphviz", "pytest", "transformers",
    }  # fmt: skip


def test_the_sdist_makes_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    sdist = built("sdist", ROOT, tmp_path)
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = (path for path in tmp_path.iterdir() if path.is_dir())
    again = built("wheel", source, tmp_path / "again")
    assert again.name == wheel.name
    theirs, ours = contents(again), contents(wheel)
    assert theirs.keys() == ours.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == []


CALLBACKS = ("lightning", "transformers")


@pytest.mark.parametrize("library", CALLBACKS)
def test_a_callback_without_its_trainer_says_how_to_get_it(library: str) -> None:
    lacking = "import sys; sys.modules.update(dict.fromkeys(['lightning', 'pytorch_lightning', 'transformers']))\n"
    code = f"{lacking}import paramscope.integrations.{library} as ours\nours.ParamscopeCallback()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert f"pip install {library}" in done.stderr.splitlines()[-1]


def test_the_plugin_without_pytest_says_how_to_get_it() -> None:
    code = "import sys; sys.modules['pytest'] = None; import pytest_paramscope"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == "pip install pytest"
