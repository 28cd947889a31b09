"""Report and Diff: the data with its face, which renders itself, writes itself and reads itself back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from paramscope.collector import paused_collector
from paramscope.report.data import ReportData
from paramscope.report.difference import DiffData

if TYPE_CHECKING:
    from networkx import MultiDiGraph

    from paramscope.analysis.cost import Cost
    from paramscope.analysis.plan import Plan


class Report(ReportData):
    """What was seen in a model and what is thought of it; plain values that do not change."""

    def __str__(self) -> str:
        text = self.render("table")
        assert isinstance(text, str)
        return text

    def _repr_html_(self) -> str:
        drawn = "<details open><summary>Elements by module</summary>\n{}</details>\n{}"
        return drawn.format(self.render("treemap"), self.to_html(page=False))

    def render(self, format: str, **options: Any) -> str | bytes:
        """The report in one of the formats of `paramscope.render`; bytes for pictures.

        Raises FormatError for a format that does not exist or an option that it does not take.
        """
        from paramscope.render import render

        with paused_collector():
            return render(self, format, **options)

    @property
    def cost(self) -> Cost:
        """What training takes in bytes, now and `at_first_step`: parameters, gradients, optimizer state, buffers and,
        where the model was run, activations.

        For state that is not there yet, a fresh optimizer of the same class and options, which has to be imported,
        steps tensors without elements: its code runs, and the model is left alone.
        """
        from paramscope.report.cost import cost_of

        return cost_of(self)

    def plan(self, mesh: str, *, tp_plan: Mapping[str, str] | None = None) -> Plan:
        """What each rank of a mesh would hold at the first step, in bytes.

        mesh: sizes of `fsdp` (`fully_shard` on the root), `replicate` (copies of that: HSDP) and `tp` (tensor
        parallelism), the outermost first: `"replicate=2,fsdp=32,tp=8"`. tp_plan: what tensor parallelism cuts, by
        patterns and styles of transformers, such as `{"blocks.*.up": "colwise"}`; where there is none, the plan that
        models of transformers have. What no plan names stays whole.

        State is found as in `cost`. Raises MeshError, also for a model that is sharded already.
        """
        from paramscope.report.plan import plan_of

        return plan_of(self, mesh, tp_plan)

    def to_networkx(self, *, fold: bool = True) -> MultiDiGraph[str]:
        """The graph that pictures are made from: modules, tensors, storages, optimizer groups, and their edges.

        fold: repeated siblings as one node. Attributes are those of `paramscope.render.picture.build_graph`.
        """
        from paramscope.render.picture import build_graph

        with paused_collector():
            return build_graph(self, fold=fold)

    def to_html(self, **options: Any) -> str:
        """The report as a page of its own, with a map and a table that can be searched; it loads nothing.

        options: of the format html. Raises FormatError for one that it does not take.
        """
        text = self.render("html", **options)
        assert isinstance(text, str)
        return text

    def to_json(self) -> str:
        """The report as versioned JSON, from which `from_json` makes an equal one."""
        from paramscope.wire.writer import write_report

        return write_report(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> Report:
        """A saved report. Raises ReportError for what is damaged, foreign, hostile, or too new."""
        from paramscope.wire.reader import read_report

        return read_report(text, cls)


class Diff(DiffData):
    """What is no longer as it was between two reports; true where there is such. Plain values that do not change."""

    def __str__(self) -> str:
        return self.render("text")

    def _repr_html_(self) -> str:
        return self.render("html", page=False)

    def render(self, format: str, **options: Any) -> str:
        """The diff as `text` (width: columns; color), `markdown`, which fits a comment on a pull request, `html`
        (page: whether a whole one) or `json`.

        Raises FormatError for another format, or an option that it does not take.
        """
        from paramscope.render._difference import render

        with paused_collector():
            return render(self, format, **options)
