"""A declared model → what is wrong with it, built and judged anew."""

from __future__ import annotations

from paramscope.api import judge
from paramscope.config import Config, DeclaredModel
from paramscope.errors import ParamscopeError
from paramscope.exceptions.apply import declared_rules, unknown_codes
from paramscope.load.building import declared_subject, look
from paramscope.report.finding import Severity
from paramscope.rules.choice import on_snapshots
from paramscope.rules.discovery import discover
from paramscope.testing.declared import unmet_declarations
from pytest_paramscope.randomness import untouched_randomness


def failure(model: DeclaredModel, config: Config) -> str:
    """What is found, and is not as declared; empty where nothing is."""
    fail_on = config.fail_on or "warning"
    try:
        found = discover()
        unknown_codes(config, found.rules, has_failed=bool(found.failed))
        rules = on_snapshots(declared_rules(config, found.rules, model))
        with untouched_randomness():
            snapshot = look(declared_subject(model))
        report = judge(snapshot, rules=rules, target=model.name)
        findings = None if fail_on == "never" else Severity(fail_on)
        return unmet_declarations(report, model, config, findings=findings).text
    except ParamscopeError as error:
        return str(error)
