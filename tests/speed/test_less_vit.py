"""Speed of LESS attention, compared within one process on one thread:
`uv run pytest tests/speed/test_less_vit.py --benchmark-only -p no:cacheprovider -s`.

Forms answer in turn, so that whatever else the machine does disturbs them alike; ratios are those of processor times. Tables
are printed, and are in `extra_info`, written by `--benchmark-json=FILE`. Memory is the most that tensors hold at once beyond
inputs and weights, as the profiler sees every allocation.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.models.hyperspectral.blocks import Block, initialise
from benchmarks.models.hyperspectral.less_attention import AttentionShape, kronecker_sum, rank_sum
from benchmarks.models.hyperspectral.position import Places, spatial_rotation, spectral_rotation

DIM, HEADS, CHANNEL_DIM, SPATIAL_DIM = 384, 6, 4, 16
FUSED = 20.0
"""How many times as fast as the materialised sum over 8 ranks the fused one has to be."""
BANDS = (10, 30, 60, 120, 200)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@torch.inference_mode()
def alternately(forms: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median processor seconds of each form, once a round, one after another; the first round does not count."""
    taken: dict[str, list[float]] = {name: [] for name in forms}
    for _ in range(rounds + 1):
        for name, form in forms.items():
            started = time.process_time()
            form()
            taken[name].append(time.process_time() - started)
    return {name: float(np.median(times[1:])) for name, times in taken.items()}


@torch.inference_mode()
def peak(form: Callable[[], object]) -> int:
    """The most bytes that tensors made by a call hold at once."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:
        form()
    results = found.profiler
    assert results is not None
    assert results.kineto_results is not None
    changes = [event for event in results.kineto_results.events() if event.name() == "[memory]"]
    changes.sort(key=lambda event: event.start_ns())
    return int(np.cumsum([0, *(event.nbytes() for event in changes)]).max())


def materialised(channel: Tensor, spatial: Tensor) -> Tensor:
    """As the authors' code has it: every rank's products of all tokens, then their sum."""
    return (channel[..., None, None] * spatial[:, :, :, None, None]).sum(2)


@pytest.mark.parametrize("rank", [1, 8])
def test_the_sum_over_ranks_is_faster_and_smaller_as_one_product(benchmark, rank: int) -> None:
    """In a process as it is; where freed memory is kept, as in runs, what is materialised costs a third: 9 times as much."""
    benchmark.group = "sum over ranks, 60 bands x 64 positions, 6 heads of 4 x 16"
    generator = torch.Generator().manual_seed(0)
    channel, spatial = (
        torch.randn(1, HEADS, rank, length + 1, width, generator=generator)
        for length, width in ((60, CHANNEL_DIM), (64, SPATIAL_DIM))
    )
    forms = {
        "fused": lambda: rank_sum(channel, spatial),
        "materialised": lambda: materialised(channel, spatial),
        "fused, as tokens": lambda: kronecker_sum(channel, spatial),
        "materialised, as tokens": lambda: materialised(channel, spatial).permute(0, 2, 4, 1, 3, 5).flatten(3),
    }
    torch.testing.assert_close(forms["fused"](), forms["materialised"](), rtol=1e-5, atol=1e-5)
    seconds, held = alternately(forms, 15), {name: peak(form) / 2**20 for name, form in forms.items()}
    benchmark.pedantic(forms["fused"], rounds=5)
    ratios = {
        "materialised / fused": seconds["materialised"] / seconds["fused"],
        "as tokens": seconds["materialised, as tokens"] / seconds["fused, as tokens"],
    }
    benchmark.extra_info |= {**ratios, **{f"{name}, MiB": value for name, value in held.items()}}
    for name in forms:
        print(f"\nrank {rank}, {name}: {1e3 * seconds[name]:.2f} ms, {held[name]:.0f} MiB", end="")
    if rank == 8:
        assert ratios["materialised / fused"] >= FUSED, seconds
        assert held["fused"] < held["materialised"] / 5, held


@pytest.mark.parametrize(("side", "rounds"), [(4, 3), (8, 1)], ids=["16 positions", "64 positions"])
def test_blocks_of_less_and_of_full_attention_over_the_number_of_bands(benchmark, side: int, rounds: int) -> None:
    """Forward, one sample, rank 1. The perceptron and the projections of all tokens are the same in both, and linear in bands."""
    benchmark.group = f"a block of {DIM} channels, {side * side} positions"
    rows, times, operations = [], {}, {}
    for bands in BANDS:
        tokens = torch.randn(1, bands + 1, side * side + 1, DIM, generator=torch.Generator().manual_seed(0))
        wavelengths = torch.linspace(418.24, 2445.53, bands)[None]
        parts: dict[str, Callable[[], object]] = {}
        for operator in ("less", "full"):
            torch.manual_seed(0)
            block = Block(AttentionShape(DIM, HEADS, CHANNEL_DIM), operator, 1.0, 0.0).apply(initialise).eval()
            spectral = spectral_rotation(wavelengths, (418.24, 2445.53), block.attn.widths[0])
            spatial = spatial_rotation((side, side), block.attn.widths[1], None, wavelengths.device)
            places = Places(spectral, spatial)
            parts[operator] = lambda block=block, places=places, tokens=tokens: block(tokens, places)
            parts[f"{operator} attention"] = lambda block=block, places=places, tokens=tokens: block.attn(
                tokens, places
            )
        times[bands] = alternately(parts, rounds)
        held = {name: peak(form) / 2**20 for name, form in parts.items()}
        for operator in ("less", "full"):
            with FlopCounterMode(display=False) as counter, torch.inference_mode():
                parts[operator]()
            operations[bands, operator] = counter.get_total_flops() / 1e9
            rows.append([bands, operator, (bands + 1) * (side * side + 1), 1e3 * times[bands][operator],
                         1e3 * times[bands][f"{operator} attention"], held[operator], held[f"{operator} attention"],
                         operations[bands, operator]])  # fmt: skip
    print(f"\n{side * side} positions\nbands operator tokens   block ms  attention ms  block MiB  attention MiB  GFLOP")
    for row in rows:
        print("{:5d} {:8s} {:6d} {:10.1f} {:13.1f} {:10.0f} {:14.0f} {:6.2f}".format(*row))
    few, many = BANDS[1], BANDS[-1]
    ratios = {
        "full / less, block": times[many]["full"] / times[many]["less"],
        "full / less, attention": times[many]["full attention"] / times[many]["less attention"],
        "less, growth of operations per band": operations[many, "less"] / operations[few, "less"] / (many / few),
        "full, growth of operations per band": operations[many, "full"] / operations[few, "full"] / (many / few),
    }
    benchmark.extra_info |= {"table": rows, **ratios}
    benchmark.pedantic(parts["less"], rounds=1)
    # Linear, never constant: a token costs the same whatever the number of bands.
    assert ratios["less, growth of operations per band"] == pytest.approx(1, abs=0.05)
    assert ratios["full, growth of operations per band"] > 1.2
    assert ratios["full / less, attention"] > 2, ratios
    assert ratios["full / less, block"] > 1.1, ratios
