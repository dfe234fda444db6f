"""Checks an expression of Prometheus against the table of metrics: names, labels, the values of labels, and what fits together.

Prometheus takes a wrong name in silence, and the alert never fires. So each selector must name a metric that is served, with
labels that it has and values that they may have; `rate` and its kin need counters, and two sides of an operator need the same
labels, since no sample of theirs would match otherwise. `docs/reference.md` has the table.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import promql_parser

from jobs.did_you_mean import did_you_mean
from workers.monitoring.table import TABLE, MetricInfo

OF_THE_TARGET: Final = frozenset({"job", "instance"})
"""The labels that Prometheus itself gives to each sample of a target."""

OF_COUNTERS: Final = frozenset({"rate", "irate", "increase", "resets"})
OF_GAUGES: Final = frozenset({"delta", "deriv", "idelta", "predict_linear"})
KEEPING: Final = frozenset({"topk", "bottomk"})
SETS: Final = frozenset({"and", "or", "unless"})

VARIABLE: Final = re.compile(r"\$\{(\w+)\}|\$(\w+)")

Labels = frozenset[str] | None
"""The labels of the samples of an expression; None if its value is a number or a text."""


class ExpressionError(ValueError):
    """An expression that cannot be right. The message says why."""


def labels_of(expression: str) -> Labels:
    """Return the labels of what an expression gives. Raises ExpressionError if it names something that is not there."""
    try:
        parsed = promql_parser.parse(expression)
    except ValueError as error:
        raise ExpressionError(f"it does not parse: {error}") from None
    return _labels(parsed)


def _labels(expr: Any) -> Labels:
    match type(expr).__name__:
        case "NumberLiteral" | "StringLiteral":
            found: Labels = None
        case "ParenExpr" | "UnaryExpr" | "SubqueryExpr":
            found = _labels(expr.expr)
        case "MatrixSelector":
            found = _of_selector(expr.vector_selector)
        case "VectorSelector":
            found = _of_selector(expr)
        case "Call":
            found = _of_call(expr)
        case "AggregateExpr":
            found = _of_aggregate(expr)
        case "BinaryExpr":
            found = _of_binary(expr)
        case unknown:
            raise ExpressionError(f"this check does not know {unknown}")
    return found


def info_of(sample: str | None) -> MetricInfo:
    """Return the metric that has samples of this name. Raises ExpressionError if there is none."""
    samples = {name: info for metric, info in TABLE.items() for name in info.samples(metric)}
    if not sample:
        raise ExpressionError("a selector names no metric")
    if sample not in samples:
        raise ExpressionError(f"there is no metric {sample!r}{did_you_mean(sample, samples)}")
    return samples[sample]


def _of_selector(selector: Any) -> frozenset[str]:
    info, name = info_of(selector.name), selector.name
    known = {**info.labels, **dict.fromkeys(OF_THE_TARGET, ())}
    if name.endswith("_bucket"):
        known["le"] = (*map(str, info.buckets), "+Inf")
    for matcher in selector.matchers.matchers:
        if matcher.name not in known:
            raise ExpressionError(f"{name} has no label {matcher.name!r}{did_you_mean(matcher.name, known)}")
        _check_value(f"{name}, label {matcher.name}", str(matcher.op), matcher.value, known[matcher.name])
    return frozenset(known)


def _check_value(place: str, operator: str, value: str, known: tuple[str, ...]) -> None:
    """Raise ExpressionError unless a matcher's value, or each alternative of a pattern, is one that the label may have."""
    if not known:
        return
    for one in value.split("|") if operator.endswith(("Re", "NotRe")) else [value]:
        if not any(re.fullmatch(one, name) if operator.endswith("Re") else one == name for name in known):
            raise ExpressionError(f"{place}: {one!r} is never its value{did_you_mean(one, known)}")


def _of_call(call: Any) -> Labels:
    name, found = call.func.name, [_labels(argument) for argument in call.args]
    if name in OF_COUNTERS | OF_GAUGES:
        for selector in _selectors(call):
            is_counter = info_of(selector.name).type != "gauge"
            if is_counter is not (name in OF_COUNTERS):
                raise ExpressionError(f"{name}({selector.name}): it is a {info_of(selector.name).type}")
    vectors = [labels for labels in found if labels is not None]
    if name == "histogram_quantile":
        if "le" not in vectors[-1]:
            raise ExpressionError("histogram_quantile needs the label le: keep it in `by`")
        return vectors[-1] - {"le"}
    return vectors[-1] if vectors else None


def _of_aggregate(aggregate: Any) -> frozenset[str]:
    inner = _labels(aggregate.expr) or frozenset()
    if aggregate.modifier is None:
        return inner if str(aggregate.op) in KEEPING else frozenset()
    named = frozenset(aggregate.modifier.labels)
    if missing := named - inner:
        raise ExpressionError(f"{aggregate.op} {aggregate.modifier}: what it adds up has no label {min(missing)!r}")
    return named if str(aggregate.modifier.type).endswith("By") else inner - named


def _of_binary(binary: Any) -> Labels:
    left, right, operator = _labels(binary.lhs), _labels(binary.rhs), str(binary.op)
    if left is None or right is None:
        return right if left is None else left
    matching = binary.modifier.matching if binary.modifier is not None else None
    if matching is None:
        if left != right and operator != "or":
            raise ExpressionError(
                f"the sides of {operator!r} have the labels {sorted(left)} and {sorted(right)}, so nothing matches"
            )
        return left | right
    named = frozenset(matching.labels)
    if str(matching.type).endswith("Exclude"):
        named = (left | right) - named
    if missing := named - (left & right):
        raise ExpressionError(f"{matching}: not both sides of {operator!r} have the label {min(missing)!r}")
    if operator in SETS or str(binary.modifier.card).endswith("ManyToOne"):
        return left
    return right if str(binary.modifier.card).endswith("OneToMany") else named


def _selectors(expr: Any) -> Iterator[Any]:
    found: list[Any] = []
    promql_parser.walk(expr, found.append)  # `append` returns None, which goes on with the walk
    yield from (one for one in found if type(one).__name__ == "VectorSelector")


def with_values(text: str, variables: Mapping[str, str]) -> str:
    """Return a query of Grafana with values in place of its variables, such as `$__rate_interval`. Unknown ones stay."""
    return VARIABLE.sub(lambda found: variables.get(found[1] or found[2], found[0]), text)
