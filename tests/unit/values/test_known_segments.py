"""Which segments threads are known to have."""

from __future__ import annotations

from ckptstore.values.known_segments import KnownSegments


def test_a_segment_is_known_of_its_own_thread_only() -> None:
    known = KnownSegments()
    known.add("a", ["x", "y"], {})
    assert known.among("a", ["x", "y", "z"]) == {"x", "y"}
    assert known.among("b", ["x", "y"]) == set()


def test_what_a_thread_turned_out_not_to_have_is_forgotten() -> None:
    known = KnownSegments()
    known.add("a", ["x", "y"], {})
    known.add("b", ["x"], {})
    known.forget("a", ["x", "never known"])
    assert known.among("a", ["x", "y"]) == {"y"}
    assert known.among("b", ["x"]) == {"x"}


def test_the_object_of_a_segment_is_known_until_another_is_stored() -> None:
    known = KnownSegments()
    known.add("a", ["x"], {"large": "key"})
    known.add("a", ["x", "large"], {})
    assert known.object_keys("a", ["x", "large", "z"]) == {"x": None, "large": "key"}
    known.add("a", [], {"large": "other"})
    assert known.object_keys("a", ["large"]) == {"large": "other"}
    assert known.object_keys("b", ["large"]) == {}
