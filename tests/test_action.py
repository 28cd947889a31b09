"""The GitHub Action: each script of action.yml in the bash that GitHub runs it in, on real models and revisions.

What GitHub itself is, is played: the files that a job writes into, and `gh`, which records what it is asked.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from support.check_models import write_models

ROOT = Path(__file__).parent.parent
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
SCRIPTS = {step["name"]: step for step in STEPS if "run" in step}
GH = """#!/bin/sh
printf '%s\\n' "$*" >> "$GH_LOG"
case "$*" in
  *--paginate*) cat "$GH_COMMENTS" ;;
  *--field*) for each; do case "$each" in body=@*) cp "${each#body=@}" "$GH_BODY" ;; esac; done; exit "$GH_CODE" ;;
esac
"""


class Job:
    """A checkout, and what GitHub puts around it."""

    def __init__(self, checkout: Path, around: Path) -> None:
        self.checkout, self.around = checkout, around
        (around / "gh").write_text(GH)
        (around / "gh").chmod(0o755)
        for name in ("output", "summary", "comments", "temp"):
            (around / name).mkdir() if name == "temp" else (around / name).touch()
        self.context = {"github.event.pull_request.number": "7", "github.token": "t", "github.action_path": str(ROOT)}

    def run(self, name: str, inputs: Mapping[str, str], **env: str) -> Done:
        """One step, with what the caller of the action says beside its defaults."""
        step = SCRIPTS[name]
        assert "${{" not in step["run"]
        given = {key: str(each["default"]) for key, each in ACTION["inputs"].items()} | dict(inputs)
        assert given.keys() == ACTION["inputs"].keys()
        values = self.context | {f"inputs.{key}": value for key, value in given.items()}
        own = {key: values[re.fullmatch(r"\$\{\{ (\S+) \}\}", said)[1]] for key, said in step["env"].items()}  # type: ignore[index]
        github = {
            "GITHUB_OUTPUT": str(self.around / "output"),
            "GITHUB_STEP_SUMMARY": str(self.around / "summary"),
            "GITHUB_REPOSITORY": "me/models",
            "RUNNER_TEMP": str(self.around / "temp"),
            "GH_LOG": str(self.around / "log"),
            "GH_COMMENTS": str(self.around / "comments"),
            "GH_BODY": str(self.around / "body"),
            "GH_CODE": "0",
            "PATH": os.pathsep.join([str(self.around), str(Path(sys.executable).parent), os.environ["PATH"]]),
        }
        script = self.around / "script.sh"
        script.write_text(step["run"])
        assert step["shell"] == "bash"
        command = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)]
        ran = subprocess.run(
            command, cwd=self.checkout, env={**os.environ, **github, **own, **env}, capture_output=True, text=True
        )
        return Done(ran.returncode, ran.stdout, ran.stderr)

    def read(self, name: str) -> str:
        """A file that a step has written."""
        path = self.around / name
        return path.read_text() if path.exists() else ""


class Done(NamedTuple):
    """What became of a step."""

    code: int
    out: str
    err: str


def git(folder: Path, *arguments: str) -> str:
    """What git says."""
    named = ("-c", "user.name=a", "-c", "user.email=a@b")
    done = subprocess.run(["git", *named, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A pull request on models: its checkout has the last commit alone, as actions/checkout leaves it."""
    origin = tmp_path / "origin"
    origin.mkdir()
    git(origin, "init", "-q", "-b", "main", ".")
    path = write_models(origin)
    wider = path.read_text().replace(
        "def clean():\n    return nn.Linear(4, 4)", "def clean():\n    return nn.Linear(4, 6)"
    )
    assert wider != path.read_text()
    (origin / ".gitignore").write_text("__pycache__/\n")
    for text in (path.read_text(), wider):
        path.write_text(text)
        git(origin, "add", ".")
        git(origin, "commit", "-qm", "one")
    git(tmp_path, "clone", "-q", "--depth=1", origin.as_uri(), "checkout")
    around = tmp_path / "around"
    around.mkdir()
    return Job(tmp_path / "checkout", around)


def test_inputs_never_stand_in_a_script() -> None:
    """What stands there is run: `${{ inputs.target }}` may be `$(…)`."""
    assert {*SCRIPTS} == {"Install paramscope", "Check", "Comment"}
    for step in STEPS:
        assert "${{" not in step.get("run", "")
    words = json.dumps(STEPS)
    for name in ACTION["inputs"]:
        assert re.search(rf"inputs\.{name}\b", words), name
        assert ACTION["inputs"][name]["description"]


def test_what_is_installed_is_the_checkout_of_the_action(job: Job) -> None:
    target = job.around / "installed"
    # Into a folder of its own, with what builds it as it is installed here.
    pip = {"PIP_TARGET": str(target), "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_INDEX": "1"}
    done = job.run("Install paramscope", {}, **pip)
    assert done.code == 0, done.err
    assert (target / "paramscope" / "cli" / "check.py").read_bytes() == (
        ROOT / "paramscope/cli/check.py"
    ).read_bytes()


def test_findings_are_annotated_and_uploaded(job: Job) -> None:
    inputs = {"target": "models.py:hidden\nmodels.py:both\n", "select": "PS101", "sarif": "true"}
    done = job.run("Check", inputs)
    assert done.code == 1, done.err
    annotations = [line for line in done.out.splitlines() if line.startswith("::error file=models.py,line=7,")]
    assert len(annotations) == 2
    assert job.read("summary").count("### paramscope") == 1
    (output,) = job.read("output").splitlines()
    sarif = job.around / "temp" / "paramscope.sarif"
    assert output == f"sarif={sarif}"
    log = json.loads(sarif.read_text())
    assert [each["ruleId"] for each in log["runs"][0]["results"]] == ["PS101", "PS101"]
    (upload,) = (step for step in STEPS if "upload-sarif" in step.get("uses", ""))
    assert upload["with"]["sarif_file"] == "${{ steps.check.outputs.sarif }}"


def test_all_options_arrive_and_nothing_in_them_is_run(job: Job) -> None:
    with (job.checkout / "models.py").open("a") as models:
        models.write("def wide(dim):\n    return nn.Linear(dim, dim)\n")
    inputs = {
        "target": "models.py:wide",
        "args": "dim=2\n",
        "optimizer": "adam",
        "ignore": "PS101",
        "fail-on": "never",
    }
    done = job.run("Check", {**inputs, "select": "PS1,PS4"})
    assert done.code == 0, done.err
    assert done.out.endswith("paramscope: models.py:wide: nothing found\n")
    # What is started is told what the caller of the action said, whatever it is.
    (job.around / "paramscope").write_text('#!/bin/sh\nprintf \'%s\\n\' "$@" > "$GH_LOG"\n')
    (job.around / "paramscope").chmod(0o755)
    done = job.run("Check", {"target": "  first \r\n\r\n second\r\n"})
    assert job.read("log").splitlines() == ["check", "-f", "github", "--", "first", "second"]
    evil = "$(touch pwned)`touch pwned`\"; touch pwned; '"
    names = ("target", "optimizer", "args", "select", "ignore", "fail-on")
    done = job.run("Check", {**dict.fromkeys(names, evil), "sarif": evil})
    assert done.code == 0, done.err
    said = ("optimizer", "arg", "select", "ignore", "fail-on")
    assert job.read("log").splitlines() == [
        "check",
        *(f"--{each}={evil}" for each in said),
        "-f",
        "github",
        "--",
        evil,
    ]
    assert not (job.checkout / "pwned").exists()


def test_a_target_that_cannot_be_built_fails_before_anything_is_uploaded(job: Job) -> None:
    done = job.run("Check", {"target": "models.py:nothing", "sarif": "true"})
    assert done.code == 2
    assert done.err.count("error: models.py has no 'nothing'") == 1
    assert job.read("output") == ""


def test_one_comment_says_what_changes_and_is_kept_up_to_date(job: Job) -> None:
    base = git(job.checkout.parent / "origin", "rev-parse", "HEAD~1")
    assert git(job.checkout, "rev-list", "--count", "HEAD") == "1"
    done = job.run("Comment", {"target": "models.py:clean", "base": base, "comment": "true"})
    assert done.code == 0, done.err
    asked, written = job.read("log").splitlines()
    assert asked.startswith("api --paginate repos/me/models/issues/7/comments --jq ")
    assert written.startswith("api --silent --method POST repos/me/models/issues/7/comments --field body=@")
    body = job.read("body")
    assert body.startswith("<!-- paramscope -->\n### What changes in the models\n\n**")
    assert "4×4" in body
    assert git(job.checkout, "status", "--porcelain") == ""
    # The next push: what is declared, one of it not to be compared, and a comment that is there.
    (job.checkout / "pyproject.toml").write_text(
        '[tool.paramscope.models."my model"]\ntarget = "models.py:clean"\n[tool.paramscope.models.gone]\ntarget = "x.py:y"\n'
    )
    (job.around / "comments").write_text("41\n42\n")
    done = job.run("Comment", {"base": "HEAD", "comment": "true"}, GH_CODE="1")
    assert done.code == 0, done.err
    assert (
        job.read("log")
        .splitlines()[-1]
        .startswith("api --silent --method PATCH repos/me/models/issues/comments/41 --field ")
    )
    assert job.read("body").count("could not be compared") == 2
    assert "my model" in done.err
    assert done.out.splitlines()[-1].startswith("::warning title=paramscope::No comment was written")


def test_the_comment_is_found_by_its_beginning_and_of_a_bot_alone() -> None:
    """A person may quote it."""
    (filter_,) = re.findall(r"mine='(.*)'", SCRIPTS["Comment"]["run"])
    assert filter_ == '.[] | select(.user.type == "Bot" and (.body | startswith("<!-- paramscope -->"))) | .id'
    assert "printf '%s\\n' '<!-- paramscope -->'" in SCRIPTS["Comment"]["run"]


def test_the_documented_inputs_are_those_that_there_are() -> None:
    """docs/ci.md has a row for each."""
    page = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8").partition("\n## GitHub\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `([\w-]+)` \|", page, re.MULTILINE) == [*ACTION["inputs"]]
    (workflow,) = re.findall(r"```yaml\n(name: .*?)```", page, re.DOTALL)
    (used,) = (
        step["with"] for step in yaml.safe_load(workflow)["jobs"]["paramscope"]["steps"] if "sarif" in str(step)
    )
    assert used.keys() <= ACTION["inputs"].keys()
