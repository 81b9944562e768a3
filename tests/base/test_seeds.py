from langue.base.seeds import derive, generator


def test_streams_depend_on_seed_and_purpose_alone() -> None:
    assert generator(1, "batches", 7).integers(1 << 60) == generator(1, "batches", 7).integers(1 << 60)
    different = {
        derive(1, "a", 1),
        derive(2, "a", 1),
        derive(1, "b", 1),
        derive(1, "a", 2),
        derive(1, "a"),
        derive(11, "a"),
    }
    assert len(different) == 6


def test_the_stream_is_the_same_in_every_release() -> None:
    assert derive(0, "split") == 7385336370414647584
