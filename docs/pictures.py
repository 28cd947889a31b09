"""Draws the pictures of docs/pictures/: `python docs/pictures.py` from the root of the project."""

from __future__ import annotations

import hashlib
import re
import sys
import tempfile
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from torch import nn

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.models import gpt2, llama70b  # noqa: E402  # found by the line above
from fixtures import vit  # noqa: E402
from paramscope import Report, audit  # noqa: E402
from paramscope.loop.watch import Watch  # noqa: E402


def vision() -> Report:
    """The Vision Transformer of the fixtures with Adam over all of it."""
    model = vit.build()
    return audit(model, optimizer=vit.adam(model))


def language() -> Report:
    """GPT-2, its head tied to its embedding, with weight decay on matrices only."""
    model = gpt2()
    matrices = [each for each in model.parameters() if each.dim() > 1]
    rest = [each for each in model.parameters() if each.dim() < 2]
    groups = [{"params": matrices}, {"params": rest, "weight_decay": 0.0}]
    return audit(model, optimizer=torch.optim.AdamW(groups, lr=3e-4))


def thawed() -> Report:
    """A Llama of 70 billion parameters, frozen but for one block of 80."""
    model = llama70b()
    for path, parameter in model.named_parameters():
        parameter.requires_grad_(path.startswith("model.layers.7."))
    return audit(model)


def half_frozen() -> Report:
    """GPT-2 with the first eight of its twelve blocks frozen, and AdamW over the rest."""
    model = gpt2()
    for path, parameter in model.named_parameters():
        parameter.requires_grad_(not re.match(r"transformer\.(wte|wpe|h\.[0-7]\.)", path))
    return audit(model, optimizer=torch.optim.AdamW(each for each in model.parameters() if each.requires_grad))


def experts() -> Report:
    """Mixtral 8x7B, of which only the attention is trained."""
    from transformers import MixtralConfig, MixtralForCausalLM

    with torch.device("meta"):
        model = MixtralForCausalLM(MixtralConfig())
    for path, parameter in model.named_parameters():
        parameter.requires_grad_("self_attn" in path)
    return audit(model)


def unheard() -> Watch:
    """The training loop of docs/watch.md: a backbone that is thawed, and an optimizer that never hears of it."""
    page = (Path(__file__).parent / "watch.md").read_text(encoding="utf-8")
    code = page.partition("<!-- example:start -->\n```python\n")[2].partition("```")[0]
    namespace: dict[str, Any] = {}
    with redirect_stdout(StringIO()):
        exec(code, namespace)
    watched: Watch = namespace["w"]
    return watched


def adversaries() -> Report:
    """Two roots with an optimizer each; the discriminator's forgets a bias."""
    generator = nn.Sequential(nn.Linear(64, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Linear(256, 784))
    discriminator = nn.Sequential(nn.Linear(784, 256), nn.LeakyReLU(), nn.Linear(256, 1))
    forgetful = list(discriminator.parameters())[:-1]
    return audit(
        {"generator": generator, "discriminator": discriminator},
        optimizer={
            "gen": torch.optim.Adam(generator.parameters(), lr=2e-4),
            "disc": torch.optim.Adam(forgetful, lr=1e-4),
        },
    )


def sharing() -> Report:
    """The module of docs/explained.md, in which Parameters share memory in every way."""
    page = (Path(__file__).parent / "explained.md").read_text(encoding="utf-8")
    namespace: dict[str, Any] = {}
    with redirect_stdout(StringIO()):
        exec(page.partition("```python\n")[2].partition("```")[0], namespace)
    shared: Report = namespace["report"]
    return shared


PICTURES: dict[str, Callable[[], Report]] = {
    "vit": vision,
    "gpt2": language,
    "llama70b": thawed,
    "gan": adversaries,
    "sharing": sharing,
}
CHARTS: dict[str, Callable[[], str | bytes]] = {
    "gpt2-treemap": lambda: half_frozen().render("treemap"),
    "llama70b-treemap": lambda: thawed().render("treemap"),
    "mixtral-treemap": lambda: experts().render("treemap"),
    "gpt2-cost": lambda: half_frozen().render("cost_bars"),
    "backbone-watch": lambda: unheard().render("svg"),
}
"""Each SVG that needs no Graphviz."""


def page() -> str:
    """The page of the GPT-2 of which eight blocks are frozen."""
    return half_frozen().to_html()


def digest(text: str) -> str:
    """What tells whether a screenshot is of this page."""
    return hashlib.sha256(text.encode()).hexdigest()


def photograph(file: Path, into: Path) -> None:
    """A screenshot of a page in the system's Chromium."""
    from benchmarks.pages import chromium

    with chromium() as browser:
        shown = browser.new_page(viewport={"width": 1280, "height": 1000})
        shown.goto(file.as_uri())
        shown.locator(".tabulator-row").first.wait_for()
        shown.wait_for_timeout(1_000)  # the map moves into its place
        shown.screenshot(path=into)


def main() -> None:
    """Writes all pictures anew."""
    folder = Path(__file__).parent / "pictures"
    folder.mkdir(exist_ok=True)
    for name, make in PICTURES.items():
        report = make()
        # The DOT, too: it tells whether a picture is stale, whatever Graphviz drew it.
        for format in ("svg", "dot"):
            text = report.render(format)
            assert isinstance(text, str)
            (folder / f"{name}.{format}").write_text(text, encoding="utf-8")
    for name, draw in CHARTS.items():
        text = draw()
        assert isinstance(text, str)
        (folder / f"{name}.svg").write_text(text, encoding="utf-8")
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "page.html"
        file.write_text(text := page(), encoding="utf-8")
        photograph(file, folder / "page.png")
        (folder / "page.sha256").write_text(digest(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
