from __future__ import annotations

from ckptstore.blobs.seen_objects import SeenObjects


def test_an_object_is_found_by_key_and_by_content() -> None:
    seen = SeenObjects()
    assert seen.get("ab/1") is None
    assert seen.key_of("ab") is None
    seen.add("ab/1", "ab", 3)
    found = seen.get("ab/1")
    assert found is not None
    assert (found.digest, found.size, seen.key_of("ab"), "ab/1" in seen) == ("ab", 3, "ab/1", True)


def test_forgetting_an_object_leaves_another_with_its_content() -> None:
    seen = SeenObjects()
    seen.add("ab/1", "ab", 3)
    seen.add("ab/2", "ab", 3)
    seen.forget(["ab/1", "never seen"])
    assert "ab/1" not in seen
    assert seen.key_of("ab") == "ab/2"
    seen.forget(["ab/2"])
    assert seen.key_of("ab") is None
