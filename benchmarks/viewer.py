"""The viewer: size of its page, and milliseconds from a key to the next slice, in a headless Chromium.

    python benchmarks/viewer.py [--slices 34] [--pixels 512] [--rounds 30]

The scan is noise in a head with a ragged bleed on every slice. It is the largest possible, because noise does not
compress.
"""

import argparse
import gzip
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--slices", type=int, default=34)
    options.add_argument("--pixels", type=int, default=512)
    options.add_argument("--rounds", type=int, default=30)
    settings = options.parse_args()
    planted = _scan(settings.slices, settings.pixels)
    _weigh(planted)
    _time(planted, min(settings.rounds, settings.slices - 1))


def _scan(slices: int, pixels: int):
    from tests.viewed import result

    planted = result(shape=(slices, pixels, pixels), spacing_mm=(5.0, 0.45, 0.45))
    rng = np.random.default_rng(5)
    planted.scan.hu[...] += 8 * rng.standard_normal(planted.scan.hu.shape, np.float32)
    third = slice(pixels // 3, pixels // 2)
    planted.blood[:, third, third] = 0.4 + 0.5 * rng.random(planted.blood[:, third, third].shape)
    return planted


def _weigh(planted) -> None:
    from ich_lib.demo import viewer

    start = time.perf_counter()
    text = json.dumps(viewer.payload(planted, truth=planted.mask))
    seconds = time.perf_counter() - start
    page = sum(len(part) for part in vars(viewer.viewer_html()).values())
    packed = len(gzip.compress(text.encode(), 1)) / 1e6
    print(f"payload {len(text) / 1e6:.1f} MB, {packed:.1f} MB as sent with gzip, made in {seconds:.2f} s")
    print(f"page part {page / 1e3:.0f} kB")


def _time(planted, rounds: int) -> None:
    from playwright.sync_api import sync_playwright

    from tests.browsing import SLICE_TIMES, chromium, mount_viewer

    with sync_playwright() as kit:
        browser = chromium(kit)
        start = time.perf_counter()
        with mount_viewer(browser, planted, truth=planted.mask) as page:
            print(f"all slices there after {time.perf_counter() - start:.2f} s")
            page.evaluate(SLICE_TIMES, 2)
            for name, key in (("axial", "a"), ("coronal", "c"), ("sagittal", "s")):
                page.focus(".stage")
                page.keyboard.press(key)
                page.wait_for_selector(f'.viewer[data-plane="{name}"]')
                times = page.evaluate(SLICE_TIMES, rounds)
                print(f"{name:9} median {statistics.median(times):5.1f} ms, slowest {max(times):5.1f} ms")
        browser.close()


if __name__ == "__main__":
    main()
