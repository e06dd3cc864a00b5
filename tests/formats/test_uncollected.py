"""Records are made without the search for cycles, which goes on as ever afterwards."""

from __future__ import annotations

import gc
import weakref

from tufa_cli.formats._fast import uncollected


class Node:
    """What only the collector frees, once it refers to itself."""

    def __init__(self) -> None:
        self.itself = self


def test_what_is_made_is_old_at_once():
    with uncollected():
        assert not gc.isenabled()
        kept = [{"a": []} for _ in range(1000)]
        gone = weakref.ref(Node())
    assert gc.isenabled()
    assert {id(value) for value in kept} <= set(map(id, gc.get_objects(generation=2)))
    assert gone() is not None
    gc.collect()
    assert gone() is None


def test_what_others_froze_stays_frozen():
    kept = [{"a": []} for _ in range(1000)]
    gc.freeze()
    try:
        with uncollected():
            pass
        assert gc.get_freeze_count() >= len(kept)
    finally:
        gc.unfreeze()


def test_blocks_within_blocks_leave_it_to_the_outermost():
    with uncollected():
        with uncollected():
            young = [{"a": []} for _ in range(100)]
        assert not gc.isenabled()
        assert {id(value) for value in young}.isdisjoint(map(id, gc.get_objects(generation=2)))
    assert gc.isenabled()
