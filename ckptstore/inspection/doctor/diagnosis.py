"""All findings about a store, the worst first."""

from __future__ import annotations

from ckptstore.inspection.doctor.cluster_rules import cluster_findings
from ckptstore.inspection.doctor.facts import Facts
from ckptstore.inspection.doctor.findings import SEVERITIES, Finding
from ckptstore.inspection.doctor.load_rules import load_findings, place_findings
from ckptstore.inspection.doctor.space_rules import retention_findings, space_findings, tag_findings

_RULES = (place_findings, cluster_findings, load_findings, retention_findings, space_findings, tag_findings)


def diagnose(facts: Facts) -> list[Finding]:
    """What the facts mean."""
    found = [finding for rule in _RULES for finding in rule(facts)]
    return sorted(found, key=lambda finding: -SEVERITIES.index(finding.severity))
