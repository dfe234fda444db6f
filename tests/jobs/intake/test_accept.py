"""Shows jobs/intake/accept.py and jobs/intake/batch_files.py: a file becomes a batch, and each bad row becomes a failed row."""

import io
import itertools
import json
import re
import threading
import tracemalloc
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from jobs.batches.batch import BatchPaths
from jobs.batches.outcome_index import OutcomeIndex
from jobs.batches.request_row import RowRequest
from jobs.batches.rounds import load_batch
from jobs.batches.segments.line import Outcome
from jobs.batches.segments.segment import read_outcomes
from jobs.errors import ConflictError, RequestError, StoreUnavailable
from jobs.formats.json_lines import MAX_ROW_BYTES
from jobs.intake.accept import Accepted, IntakeOptions, accept, accept_file
from jobs.intake.batch_files import SEGMENT_ROWS
from jobs.intake.column_options import columns_of
from jobs.intake.names import NAMES_IN_MEMORY
from jobs.intake.refusals import AllRefused, StrictRefused
from jobs.kinds.registry import load_kinds
from jobs.settings import Settings
from jobs.store.local import LocalStore
from jobs.store.opening import open_store
from jobs.store.store import Store
from jobs.tenants import TenantSettings
from tests.jobs.intake.dying_store import Dying

KINDS = load_kinds()
SETTINGS = Settings(tenant="house", model="stub")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


def taken(store: Store, data: bytes | Iterable[bytes], run_key: str = "k", **options: Any) -> Accepted:
    lines = io.BytesIO(data) if isinstance(data, bytes) else data
    memory = options.pop("names_in_memory", NAMES_IN_MEMORY)
    chosen = IntakeOptions(**options)
    return accept(store, lines, chosen, kinds=KINDS, settings=SETTINGS, run_key=run_key, names_in_memory=memory)


def chat(**fields: Any) -> dict[str, Any]:
    return {"kind": "chat", "prompt": "Hi?", **fields}


def jsonl(*rows: Any) -> bytes:
    return b"".join(row + b"\n" if isinstance(row, bytes) else json.dumps(row).encode() + b"\n" for row in rows)


def inputs(store: Store, accepted: Accepted, lane: str = "stub") -> list[RowRequest]:
    raw = store.read(BatchPaths(accepted.batch.batch_id).input(lane))
    return [RowRequest.from_bytes(line) for line in raw.splitlines()]


def refused(store: Store, accepted: Accepted) -> list[Outcome]:
    paths = BatchPaths(accepted.batch.batch_id)
    found = [list(read_outcomes(store, paths.segment(name))) for name in store.list(paths.segments)]
    return sorted(itertools.chain.from_iterable(found), key=lambda outcome: outcome.row)


@pytest.mark.parametrize(
    ("line", "code", "field"),
    [
        pytest.param(b"{not json", "not_json", None, id="not json"),
        pytest.param(b'{"a": NaN}', "not_json", None, id="nan"),
        pytest.param(b'"\\ud800"', "not_json", None, id="half a surrogate"),
        pytest.param(b"[1]", "not_an_object", None, id="array"),
        pytest.param(b"null", "not_an_object", None, id="null"),
        pytest.param(b'{"kind": "chat", "prompt": "\xff"}', "not_utf8", None, id="not utf-8"),
        pytest.param(chat(colour=1), "unknown_field", "colour", id="unknown field"),
        pytest.param(
            {"kind": "chat", "messages": [{"role": "user"}]}, "missing_field", "messages.0.content", id="nested"
        ),
        pytest.param({"kind": "article"}, "missing_field", "topic", id="missing field"),
        pytest.param({"kind": "chat"}, "missing_field", None, id="one of two fields"),
        pytest.param(chat(prompt=5), "wrong_type", "prompt", id="wrong type"),
        pytest.param(chat(seed="5"), "wrong_type", "seed", id="a number in quotes"),
        pytest.param(chat(temperature=True), "wrong_type", "temperature", id="a boolean for a number"),
        pytest.param(chat(metadata=[1]), "wrong_type", "metadata", id="metadata that is no object"),
        pytest.param(chat(temperature=2.5), "out_of_range", "temperature", id="too hot"),
        pytest.param(chat(priority=10), "out_of_range", "priority", id="priority"),
        pytest.param(chat(tenant="a b"), "out_of_range", "tenant", id="tenant"),
        pytest.param(chat(custom_id=""), "out_of_range", "custom_id", id="empty custom_id"),
        pytest.param(
            {"kind": "article", "topic": "a", "target_words": 1}, "out_of_range", "target_words", id="too short"
        ),
        pytest.param(
            {"kind": "social_post", "topic": "a", "platform": "myspace"}, "out_of_range", "platform", id="choice"
        ),
        pytest.param(chat(kind="sonnet"), "unknown_kind", "kind", id="unknown kind"),
        pytest.param(chat(kind=7), "unknown_kind", "kind", id="kind is no text"),
        pytest.param({"prompt": "Hi?"}, "unknown_kind", "kind", id="no kind"),
        pytest.param(chat(model="gpt-17"), "unknown_model", "model", id="unknown model"),
        pytest.param(chat(custom_id="first"), "duplicate_custom_id", "custom_id", id="duplicate"),
        pytest.param(chat(prompt="x" * MAX_ROW_BYTES), "row_too_large", None, id="too large"),
        pytest.param(b"x" * (3 * MAX_ROW_BYTES), "row_too_large", None, id="far too large"),
        pytest.param(
            b'{"kind":"chat","prompt":"a","metadata":{"a":' + b"[" * 300 + b"]" * 300 + b"}}",
            "out_of_range",
            "metadata",
            id="deeper than can be written back",
        ),
        pytest.param(chat(metadata={"id": 1 << 64}), "out_of_range", "metadata", id="an integer that would be rounded"),
    ],
)
def test_each_fault_has_its_code_line_and_field_and_harms_no_other_row(
    store: Store, line: Any, code: str, field: str | None
) -> None:
    accepted = taken(store, jsonl(chat(custom_id="first"), b"", line, chat()))
    assert (accepted.batch.rows, accepted.batch.refused) == (3, 1)
    assert [row.row for row in inputs(store, accepted)] == [0, 2]
    (outcome,) = refused(store, accepted)
    assert outcome.error is not None
    error = dict(outcome.error)
    assert error.pop("message")
    assert error == {"code": code, "line": 3, **({"field": field} if field else {})}
    assert (outcome.row, outcome.round, outcome.status, outcome.final) == (1, 0, "failed", True)
    index = OutcomeIndex(store, accepted.batch)
    index.refresh()
    assert [index.has_outcome(row) for row in range(3)] == [False, True, False]


def test_a_field_that_is_set_twice_is_refused(store: Store) -> None:
    with pytest.raises(RequestError, match=r"--set tone=\.\.\. is given twice"):
        taken(store, jsonl(chat()), set=("tone=a", "tone=b"))
    with pytest.raises(RequestError, match="the key 'a' twice"):
        taken(store, jsonl(chat()), set=('metadata={"a": 1, "a": 2}',))


def test_strict_names_every_bad_line_and_stores_nothing(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StrictRefused) as raised:
        taken(store, jsonl(chat(), b"{", chat(), chat(colour=1)), strict=True)
    assert raised.value.total == 2
    assert "line 2: not_json" in str(raised.value)
    assert "line 4: unknown_field (colour)" in str(raised.value)
    assert raised.value.exit_status == 2
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("data", [b"", b"\n\r\n  \n", b"\xef\xbb\xbf"], ids=["empty", "blank", "mark only"])
def test_a_file_without_rows_is_refused(store: Store, data: bytes) -> None:
    with pytest.raises(RequestError, match="no rows"):
        taken(store, data)


def test_byte_order_marks_and_line_ends(store: Store) -> None:
    data = b"\xef\xbb\xbf" + jsonl(chat()).replace(b"\n", b"\r\n") + jsonl(chat()).rstrip(b"\n")
    accepted = taken(store, data)
    assert [(row.row, row.line) for row in inputs(store, accepted)] == [(0, 1), (1, 2)]
    assert accepted.batch.refused == 0


def test_a_row_keeps_its_own_values_and_gets_defaults_for_others(store: Store) -> None:
    given = {
        "custom_id": "a",
        "seed": 5,
        "max_tokens": 9,
        "temperature": 0,
        "top_p": 0.5,
        "priority": 9,
        "tenant": "shop",
    }
    accepted = taken(
        store,
        jsonl(chat(**given, metadata={"x": [1]}, adapter="b"), chat()),
        tenant="own",
        priority=2,
        rows_may_set=frozenset({"tenant", "priority"}),
    )
    first, second = inputs(store, accepted)
    assert {name: getattr(first, name) for name in given} == given
    assert (first.metadata, first.adapter, first.request) == ({"x": [1]}, "b", {"prompt": "Hi?"})
    assert (second.tenant, second.priority, second.model, second.seed) == ("own", 2, "stub", None)
    assert first.cost > 0


def test_set_gives_values_to_rows_that_lack_them(store: Store) -> None:
    rows = jsonl({"topic": "a"}, {"topic": "b", "target_words": 100}, chat())
    accepted = taken(store, rows, kind="article", set=("target_words=300", "tone=calm", "seed=4"))
    first, second, third = inputs(store, accepted)
    assert first.request == {"topic": "a", "target_words": 300, "tone": "calm"}
    assert second.request["target_words"] == 100
    assert (third.request, third.seed) == ({"prompt": "Hi?"}, 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"set": ("colour=red",)}, "--set colour=...: no kind has a field", id="a field of no kind"),
        pytest.param({"set": ("seed",)}, "--set seed: give it as FIELD=VALUE", id="no equals sign"),
        pytest.param({"set": ("=5",)}, "--set =5: give it as FIELD=VALUE", id="no field"),
        pytest.param(
            {"set": ("metadata=" + '{"a":' * 300 + "1" + "}" * 300,)},
            "--set metadata: more than 100 objects and arrays stand within each other",
            id="a value too deep to be kept",
        ),
        pytest.param({"set": ("seed=" + "9" * 30,)}, "--set seed: an integer does not fit into 64 bits", id="too long"),
        pytest.param({"set": ("tone=\udcff",)}, "--set is not valid UTF-8", id="a value that is no text"),
        pytest.param({"name": "\udcff"}, "--name is not valid UTF-8", id="a name that is no text"),
        pytest.param({"kind": "sonnet"}, "--kind sonnet: the known kinds are article, chat", id="kind"),
        pytest.param({"model": "gpt-17"}, "--model gpt-17: the known models are smollm2-135m, stub", id="model"),
        pytest.param({"tenant": "../a"}, "--tenant '../a': give it 1 to 64", id="tenant"),
        pytest.param({"priority": 10}, "--priority 10: give it 0 to 9", id="priority"),
        pytest.param({"limit": 0}, "--limit 0: give it 1 or more", id="limit"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_is_read(
    store: Store, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(RequestError, match=f"^{re.escape(message)}"):
        taken(store, jsonl(chat()), **options)
    assert not (tmp_path / "store").exists()


def test_null_is_no_value(store: Store) -> None:
    options: dict[str, Any] = {"kind": "chat", "set": ("seed=4", "model=null")}
    row = jsonl({"kind": None, "model": None, "seed": None, "metadata": None, "prompt": "Hi?"})
    (first,) = inputs(store, taken(store, row, **options))
    assert (first.kind, first.model, first.seed, first.metadata) == ("chat", "stub", 4, None)


def test_lines_may_come_from_anywhere(store: Store) -> None:
    lines = (json.dumps(chat(seed=n)).encode() for n in range(3))
    assert [row.seed for row in inputs(store, taken(store, lines))] == [0, 1, 2]


def test_a_refused_row_takes_no_custom_id_from_a_later_one(store: Store) -> None:
    accepted = taken(store, jsonl(chat(custom_id="a", seed="5"), chat(custom_id="a")))
    assert [row.row for row in inputs(store, accepted)] == [1]


def test_many_refused_rows_are_several_segments(store: Store) -> None:
    good = json.dumps(chat()).encode()
    accepted = taken(store, (b"{" if n <= SEGMENT_ROWS else good for n in range(SEGMENT_ROWS + 2)))
    paths = BatchPaths(accepted.batch.batch_id)
    assert len(store.list(paths.segments)) == 2
    assert [outcome.row for outcome in refused(store, accepted)] == list(range(SEGMENT_ROWS + 1))


def test_a_missing_scratch_folder_is_an_error_with_its_remedy(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    with pytest.raises(StoreUnavailable, match=r"under .*none: No such file.*set TMPDIR"):
        taken(store, jsonl(chat()))


def test_a_limit_takes_the_first_rows(store: Store) -> None:
    accepted = taken(store, jsonl(*[chat(seed=n) for n in range(5)]), limit=2)
    assert [row.seed for row in inputs(store, accepted)] == [0, 1]


def test_lanes_by_model(store: Store) -> None:
    accepted = taken(store, jsonl(chat(), chat(model="smollm2-135m"), chat()))
    assert {lane: (one.model, one.rows) for lane, one in accepted.batch.lanes.items()} == {
        "stub": ("stub", 2),
        "smollm2-135m": ("smollm2-135m", 1),
    }
    for lane, one in accepted.batch.lanes.items():
        assert store.size(BatchPaths(accepted.batch.batch_id).input(lane)) == one.bytes


def test_a_file_of_which_every_row_is_refused_makes_no_batch(store: Store) -> None:
    bad = [b"{", *[chat(colour=n) for n in range(7)], b"[", chat(prompt=3)]
    with pytest.raises(AllRefused) as raised:
        taken(store, jsonl(*bad))
    refused = raised.value
    assert (refused.exit_status, refused.total, len(refused.faults)) == (2, 10, 10)
    assert [(one.code, one.field, one.count, one.lines) for one in refused.groups] == [
        ("unknown_field", "colour", 7, [2, 3, 4, 5, 6]),
        ("not_json", None, 2, [1, 9]),
        ("wrong_type", "prompt", 1, [10]),
    ]
    head, first, second, third, advice = str(refused).splitlines()
    assert head == "all 10 rows were refused, nothing was accepted:"
    assert first.startswith("  7 x unknown_field (colour), lines 2, 3, 4, 5, 6 and 2 more: chat has no such field")
    assert second.startswith("  2 x not_json, lines 1, 9: ")
    assert third.startswith("  1 x wrong_type (prompt), line 10: ")
    assert advice.startswith("The columns are kind, prompt, colour. The fields of chat are prompt, n, stop,")
    assert [name for name in ("batches", "open") if store.list(name)] == []


def test_many_kinds_of_fault_are_grouped_in_bounded_memory(store: Store) -> None:
    with pytest.raises(AllRefused) as raised:
        taken(store, jsonl(*[chat(**{f"colour{n}": 1}) for n in range(1_200)]))
    assert (raised.value.total, len(raised.value.groups)) == (1_200, 1_000)
    assert "  and 1,180 rows with other faults" in str(raised.value)


def test_the_same_again_is_the_same_batch(store: Store) -> None:
    first, again = taken(store, jsonl(chat()), name="Über Night!"), taken(store, jsonl(chat()), name="Über Night!")
    assert (first.created, again.created) == (True, False)
    assert again.batch == first.batch
    assert first.batch.batch_id.startswith("ber-night-")
    assert store.list("open") == [first.batch.batch_id]


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"run_key": "other"}, id="run key"),
        pytest.param({"tenant": "other"}, id="tenant"),
        pytest.param({"priority": 9}, id="priority"),
        pytest.param({"rows_may_set": frozenset({"tenant"})}, id="what rows may set"),
        pytest.param({"deadline": datetime(2027, 1, 1, tzinfo=UTC)}, id="deadline"),
        pytest.param({"data": jsonl(chat(), chat())}, id="input"),
        pytest.param({"data": jsonl(chat(), b"{")}, id="a refused row"),
        pytest.param({"set": ("seed=4",)}, id="a value for rows"),
        pytest.param({"name": "other"}, id="name"),
        pytest.param({"columns": columns_of(["topic=x"])}, id="a field from another column"),
        pytest.param({"columns": columns_of(extra="none")}, id="other columns left out"),
        pytest.param({"columns": columns_of(extra="metadata")}, id="other columns kept"),
    ],
)
def test_any_difference_makes_another_batch(store: Store, changed: dict[str, Any]) -> None:
    first = taken(store, jsonl(chat()))
    other = taken(store, changed.pop("data", jsonl(chat())), **changed)
    assert other.batch.batch_id != first.batch.batch_id
    assert other.created


@pytest.mark.parametrize(
    ("row", "may_set", "code", "field"),
    [
        pytest.param({"tenant": "other"}, (), "not_allowed", "tenant", id="another tenant"),
        pytest.param({"tenant": "own"}, (), None, None, id="its own tenant"),
        pytest.param({"tenant": None}, (), None, None, id="no tenant"),
        pytest.param({"tenant": "other"}, ("tenant",), None, None, id="another, allowed"),
        pytest.param({"tenant": "other"}, ("priority",), "not_allowed", "tenant", id="priority alone is allowed"),
        pytest.param({"priority": 9}, (), "not_allowed", "priority", id="another priority"),
        pytest.param({"priority": 0}, (), "not_allowed", "priority", id="a lower priority"),
        pytest.param({"priority": 2}, (), None, None, id="its own priority"),
        pytest.param({"priority": 9}, ("priority",), None, None, id="another priority, allowed"),
        pytest.param({"tenant": "invented"}, ("tenant",), "unknown_tenant", "tenant", id="a tenant that nobody knows"),
    ],
)
def test_whoever_submits_decides_whom_rows_are_billed_to(
    store: Store, row: dict[str, Any], may_set: tuple[str, ...], code: str | None, field: str | None
) -> None:
    """The known tenants are `other`, `own` and the tenant of the settings."""
    known = {name: TenantSettings() for name in ("own", "other")}
    accepted = accept(
        store,
        io.BytesIO(jsonl(chat(**row), chat())),
        IntakeOptions(tenant="own", priority=2, rows_may_set=frozenset(may_set)),  # type: ignore[arg-type]
        kinds=KINDS,
        settings=SETTINGS.model_copy(update={"tenants": known, "known_tenants_only": True}),
        run_key="k",
    )
    assert [(fault.code, fault.field) for fault in accepted.faults] == ([] if code is None else [(code, field)])
    if code == "not_allowed":
        assert f"--rows-may-set {field}" in accepted.faults[0].message


def test_a_batch_of_a_tenant_that_nobody_knows_is_refused(store: Store) -> None:
    settings = SETTINGS.model_copy(update={"known_tenants_only": True, "tenants": {"shop": TenantSettings()}})
    with pytest.raises(RequestError, match=r"only the tenants of .tenants. are accepted: did you mean shop"):
        accept(
            store, io.BytesIO(jsonl(chat())), IntakeOptions(tenant="shap"), kinds=KINDS, settings=settings, run_key="k"
        )


def test_the_tenant_of_the_settings_is_part_of_the_id(store: Store) -> None:
    """Each row names its own tenant, so the rows themselves are the same. Still the ids differ."""
    ids = {
        accept(
            store,
            io.BytesIO(jsonl(chat(tenant="shop"))),
            IntakeOptions(rows_may_set=frozenset({"tenant"})),
            kinds=KINDS,
            settings=Settings(tenant=tenant, model="stub"),
            run_key="k",
        ).batch.batch_id
        for tenant in ("house", "other")
    }
    assert len(ids) == 2


def test_a_deadline_is_the_same_option_when_it_is_typed_the_same(store: Store) -> None:
    """`+8h`, given again an hour later with the same run key, finds the batch with its first deadline."""
    first = taken(store, jsonl(chat()), deadline=datetime(2027, 1, 1, 6, tzinfo=UTC), deadline_typed="+8h")
    again = taken(store, jsonl(chat()), deadline=datetime(2027, 1, 1, 7, tzinfo=UTC), deadline_typed="+8h")
    assert (again.created, again.batch) == (False, first.batch)


def test_strict_makes_no_other_batch_if_no_row_is_bad(store: Store) -> None:
    first, again = taken(store, jsonl(chat())), taken(store, jsonl(chat()), strict=True)
    assert (again.created, again.batch) == (False, first.batch)


def test_another_batch_under_the_id_is_refused(store: Store) -> None:
    batch = taken(store, jsonl(chat())).batch
    path = BatchPaths(batch.batch_id).acceptance
    store.delete(path)
    store.create(path, batch.model_copy(update={"full_sha256": "0" * 64}).model_dump_json().encode())
    with pytest.raises(ConflictError, match="--run-key"):
        taken(store, jsonl(chat()))


@pytest.mark.parametrize("writes", range(8))
def test_killed_at_any_write_there_is_no_batch_or_a_whole_one(tmp_path: Path, writes: int) -> None:
    data = jsonl(chat(), b"{", chat(model="smollm2-135m"))
    dying = Dying(str(tmp_path), writes)
    try:
        taken(dying, data)
    except StoreUnavailable:
        assert dying.left < 0
    store = open_store(str(tmp_path))
    (batch_id,) = store.list("batches") or [""]
    whole = load_batch(store, batch_id) is not None if batch_id else False
    assert whole == (writes >= 6)
    again = taken(store, data)
    assert again.created is not whole
    assert batch_id in ("", again.batch.batch_id)
    assert len(inputs(store, again)) == len(inputs(store, again, "smollm2-135m")) == len(refused(store, again)) == 1
    assert store.list("open") == [again.batch.batch_id]


class Away(LocalStore):
    """A store that does not answer when a file whose path ends with `end` is created. With `done`, it creates the file all the
    same.
    """

    def __init__(self, folder: str, end: str, *, done: bool = False) -> None:
        super().__init__(folder)
        self.end, self.done = end, done

    def create(self, path: str, data: bytes) -> bool:
        if not path.endswith(self.end):
            return super().create(path, data)
        if self.done:
            super().create(path, data)
        raise StoreUnavailable("storage s3://x: no answer within 45 s.")


def test_a_failure_after_the_acceptance_leaves_the_batch_accepted(store: Store) -> None:
    known = taken(store, jsonl(chat())).batch
    store.delete(BatchPaths(known.batch_id).root)
    store.delete("open")
    away = Away(store.url, f"open/{known.batch_id}")
    with capture_logs() as logs:
        first = taken(away, jsonl(chat()))
    assert (first.created, first.batch.batch_id) == (True, known.batch_id)
    assert load_batch(store, known.batch_id) == first.batch
    assert [(log["event"], log["batch"]) for log in logs] == [
        ("batch.hint_failed", known.batch_id),
        ("batch.accepted", known.batch_id),
    ]
    assert taken(away, jsonl(chat())).created is False, "nor is it when it is asked for again"
    assert taken(store, jsonl(chat())).batch == first.batch
    assert store.list("open") == [known.batch_id]


@pytest.mark.parametrize("done", [True, False], ids=["it was written", "it was not"])
def test_if_the_acceptance_is_in_doubt_the_error_says_how_to_make_no_second_batch(store: Store, done: bool) -> None:
    with pytest.raises(StoreUnavailable, match=r"no answer within 45 s\. .*--run-key 'a b'") as raised:
        taken(Away(store.url, "/batch.json", done=done), jsonl(chat()), run_key="a b")
    (batch_id,) = store.list("batches")
    assert batch_id in str(raised.value)
    again = taken(store, jsonl(chat()), run_key="a b")
    assert (again.created, again.batch.batch_id) == (not done, batch_id)


def test_two_at_once_make_one_batch(store: Store) -> None:
    results: list[Accepted] = []
    threads = [
        threading.Thread(target=lambda: results.append(taken(store, jsonl(chat(), b"{", chat())))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({accepted.batch.batch_id for accepted in results}) == 1
    assert sum(accepted.created for accepted in results) >= 1
    assert len(refused(store, results[0])) == 1


def test_memory_does_not_grow_with_the_file(store: Store) -> None:
    """Ten times as many rows, some of them refused, need no more memory, and each duplicate custom_id is found."""

    def peak(rows: int) -> int:
        lines = (
            b'{"kind":"chat","prompt":"x","custom_id":"row-%d"}' % (n % (rows - 2)) if n % 100 else b"{"
            for n in range(rows)
        )
        tracemalloc.start()
        accepted = taken(store, lines, str(rows), names_in_memory=100)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert accepted.batch.refused == rows // 100 + 1
        assert accepted.faults[-1].code == "duplicate_custom_id"
        return most

    few, many = peak(2_000), peak(20_000)
    assert many < few + (1 << 20)


def test_a_file_that_cannot_be_read(store: Store, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"cannot read .*none\.jsonl: No such file"):
        accept_file(store, tmp_path / "none.jsonl", IntakeOptions(), SETTINGS, "k")


def test_a_file_gives_its_batch_a_name(store: Store, tmp_path: Path) -> None:
    for name, stem in (("night shift.jsonl", "night-shift-"), ("no\udcfftext.jsonl", "no-text-")):
        path = tmp_path / name
        path.write_bytes(jsonl(chat()))
        assert accept_file(store, path, IntakeOptions(), SETTINGS, "k").batch.batch_id.startswith(stem)


def test_a_web_server_does_not_get_the_options_of_the_store(store: Store, tmp_path: Path) -> None:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Log nothing."""

    (tmp_path / "night.jsonl").write_bytes(jsonl(chat()))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings = Settings(store_url="s3://bucket", store_options={"endpoint_url": "http://127.0.0.1:9"}, model="stub")
    try:
        url = f"http://127.0.0.1:{server.server_port}/night.jsonl"
        assert accept_file(store, url, IntakeOptions(), settings, "k").batch.rows == 1
    finally:
        server.shutdown()
        server.server_close()
