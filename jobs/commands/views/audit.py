"""Shows the audit of a batch to a person: how much its texts repeat each other, and which rows are alike."""

from collections.abc import Iterator
from typing import Final

from jobs.checks.batch.report import Audit, Cluster, Figures
from jobs.commands.views.fitting import kept_together
from jobs.printable import one_line

SHOWN_GROUPS: Final = 5
"""At most this many pairs of kind and tenant are shown, the worst first."""
SHOWN_CLUSTERS: Final = 5
"""At most this many clusters are shown."""
SHOWN_ROWS: Final = 5
"""A cluster is shown with the custom_ids of at most this many of its rows."""


def audit_lines(audit: Audit, batch_id: str) -> Iterator[str]:
    """Yield the lines about an audit in the paragraph of its batch."""
    worst = sorted(audit.figures, key=lambda one: (not one.over, -one.collapse, one.kind, one.tenant))
    for figures in worst[:SHOWN_GROUPS]:
        yield f"  {_figures(figures, audit)}"
    if (more := len(worst) - SHOWN_GROUPS) > 0:
        yield f"    and {more:,} more pairs of kind and tenant: {kept_together(f'nightpress status {batch_id} --json')}"
    if audit.is_varied:
        return
    for cluster in audit.clusters[:SHOWN_CLUSTERS]:
        yield f"    {_cluster(cluster)}"
    if (more := len(audit.clusters) + audit.clusters_left_out - SHOWN_CLUSTERS) > 0 and audit.clusters:
        yield f"    and {more:,} more clusters: {kept_together(f'nightpress status {batch_id} --json')}"
    if any(one.repeating for one in audit.figures):
        yield f"    to write them anew: {kept_together(f'nightpress failed retry {batch_id} --reopen-same')}"


def audit_note(audit: Audit, batch_id: str) -> str | None:
    """Return a line about a batch whose texts pass a limit of the audit; None for any other batch."""
    if audit.is_varied:
        return None
    names = ", ".join(sorted({name for figures in audit.figures for name in figures.over}))
    share = f"{audit.collapse:.1%} of its rows repeat others"
    return f"{batch_id}: its texts are too much alike ({names}): {share}; {kept_together(f'see: nightpress status {batch_id}')}"


def _figures(figures: Figures, audit: Audit) -> str:
    name = one_line(f"{figures.kind} of {figures.tenant}")
    limits = audit.limits
    parts = []
    if figures.kind in limits.translations:
        parts.append(f"{figures.inconsistent:,} of {figures.rows:,} rows have another translation of their source")
        parts.append(f"{figures.reused:,} share theirs with another source")
    else:
        limit = f"limit {limits.most_collapse:.0%}"
        parts.append(f"{figures.collapse:.1%} of {figures.rows:,} rows repeat others ({kept_together(limit)})")
        measured = {
            "distinct-2": figures.distinct_2,
            "self-BLEU": figures.self_bleu,
            "compression": figures.compression,
        }
        parts += [kept_together(f"{of} {value:.2f}") for of, value in measured.items() if value is not None]
    over = f"; over the limit: {', '.join(figures.over)}" if figures.over else ""
    return f"alike: {name}: {', '.join(parts)}{over}"


def _cluster(cluster: Cluster) -> str:
    shown = ", ".join(one_line(one) for one in cluster.custom_ids[:SHOWN_ROWS])
    more = f" and {cluster.rows - SHOWN_ROWS:,} more" if cluster.rows > SHOWN_ROWS else ""
    return f"{cluster.code}, {cluster.rows:,} rows: {shown}{more}: {one_line(cluster.beginning)}"
