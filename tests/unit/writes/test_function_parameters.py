"""The parameters of the function that stores batches on PostgreSQL."""

from __future__ import annotations

from ckptstore.records import CheckpointKey, NewSegment, NewWrite, NewWrites, Posting, Value
from ckptstore.writes.function_parameters import FunctionParameters
from tests.support.attempts import encoded, new_checkpoint, task_writes


def test_rows_name_their_entry_and_bytes_are_slices_of_one_text() -> None:
    made = new_checkpoint("t", "c", values=[("a", "1", Value("bytes", b"abc"))], carried=[("b", "2")], size=3)
    sent = FunctionParameters({0: task_writes("u", "task", b"xy"), 7: made}).named("100ms")
    assert sent["data"] == b"xyabc"
    assert sent["wait_for_locks"] == "100ms"
    assert sent["entries"] == '{"u","","c","0","","t","","c","0","3"}'
    assert sent["kept_writes"].startswith('{"1","task","0","","x","bytes","2","1","2","",')
    assert sent["checkpoints"].startswith('{"6","","4","null","3","0","{}","{}","2",')
    assert sent["channels"].startswith('{"6","a","1","bytes","3","3","3","",')
    assert sent["carried"] == '{"6","b","2"}'
    assert [part for part in ("known", "tags", "segments", "replaced_writes") if sent[part] is not None] == []


def test_segments_and_tags_are_sent_and_a_parent_is_distinguished_from_none() -> None:
    made = new_checkpoint("t", "c", postings=frozenset({Posting("key", "value")}))
    record = made.record._replace(parent_checkpoint_id="")  # type: ignore[call-arg]
    made = made._replace(record=record, segments=(NewSegment("d", 9, "raw", b"x", None),), known=("k",))
    sent = FunctionParameters({0: made}).named(None)
    assert sent["segments"] == '{"1","d","9","raw","1","1"}'
    assert sent["known"] == '{"1","k"}'
    assert sent["tags"] == '{"1","key","value"}'
    assert sent["checkpoints"].startswith('{"1","=","4",')


def test_the_answer_names_entries_by_the_positions_of_their_first_elements() -> None:
    parameters = FunctionParameters({2: task_writes("a", "1"), 3: task_writes("b", "1"), 5: task_writes("c", "1")})
    assert parameters.stored("") == {2, 3, 5}
    # Once for each row that it misses.
    assert parameters.stored("6,6,11") == {2}


def test_of_writes_with_one_index_one_is_sent() -> None:
    twice = [NewWrite(-1, "x", Value("bytes", data)) for data in (b"first", b"last")]
    for replace, part, data in ((False, "kept_writes", b"first"), (True, "replaced_writes", b"last")):
        sent = FunctionParameters({0: encoded(NewWrites(CheckpointKey("t", "", "c"), "task", "", 0, twice, replace))}).named(None)
        assert sent["data"] == data
        assert sent[part].count("task") == 1


def test_of_tasks_with_the_same_content_one_sends_it_unless_it_may_be_left_out() -> None:
    same = (NewSegment("d", 9, "raw", b"x", None),)
    first, second, elsewhere = (task_writes(thread, task)._replace(segments=same) for thread, task in (("t", "1"), ("t", "2"), ("u", "1")))
    sent = FunctionParameters({0: first, 1: second, 2: elsewhere}).named(None)
    assert sent["segments"] == '{"1","d","9","raw","1","1","11","d","9","raw","2","1"}'
    for uncertain in (first._replace(known=("k",)), new_checkpoint("t", "c")._replace(segments=same)):
        sent = FunctionParameters({0: uncertain, 1: second}).named(None)
        assert sent["segments"] == '{"1","d","9","raw","1","1","6","d","9","raw","2","1"}'
