"""What is said before a long pass."""

import pytest
from small_observers import observer

from reverse_correlation import WhiteNoise
from reverse_correlation.passes import first_look
from reverse_correlation.passes.noise_pass import NoisePass


@pytest.mark.parametrize(
    ("seconds", "said", "whole"),
    [
        (140.2, "140 s for 1,000", "2,804 s"),
        (12_345, "12,345 s for 1,000", "246,900 s"),
        (9.96, "10 s for 1,000", "199 s"),
        (2.345, "2.3 s for 1,000", "47 s"),
        (0.0456, "0.046 s for 1,000", "0.91 s"),
    ],
)
def test_a_time_is_printed_as_people_write_it(seconds, said, whole, monkeypatch, rng):
    work = NoisePass(observer(rng.normal(size=(4, 4, 1, 2))), WhiteNoise(shape=(4, 4, 1)))
    ticks = iter([0, seconds * 2 * work.block_images / 1000])
    monkeypatch.setattr(first_look.time, "perf_counter", lambda: next(ticks))
    (remark,) = first_look.speed_remarks(work, 20_000)
    assert f"({said})" in remark and f"20,000 images at most, {whole} here" in remark
