"""Make the documents' pictures of the demo, from its samples, in headless Chromium.

python docs/picture.py [NAME...]
python docs/picture.py thumbnails
python docs/picture.py moving
"""

import io
import sys
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from ich_lib.demo.samples import write_thumbnails  # noqa: E402
from tests.browsing import SETTLE, choose, chromium, settle, tab  # noqa: E402
from tests.served import Server  # noqa: E402


@dataclass(frozen=True)
class Picture:
    """A picture of the page.

    Attributes:
        sample: the sample case that is chosen.
        keys: the keys that are then pressed in the viewer.
        options: of Playwright's context: size, light or dark, and so on.
        wait_for: what the picture must also show, as a selector.
        compare: the model that is chosen in "Compare with", by its name.
    """

    sample: str
    keys: str = ""
    options: dict = field(default_factory=dict)
    wait_for: str = ""
    compare: str = ""


PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 1.5, "has_touch": True, "is_mobile": True}
PICTURES = {
    "demo": Picture("Epidural", options={"color_scheme": "dark"}),
    "truth": Picture("Epidural", "t" + 8 * ".", {"viewport": {"width": 1440, "height": 900}}),
    "planes": Picture("Intraparenchymal", "ct", {"color_scheme": "dark"}),
    "phone": Picture("Subdural", options=PHONE),
    "solid": Picture("Intraparenchymal", "p", {"color_scheme": "dark"}, '.solid-view[data-drawn="yes"]'),
    "sees": Picture("Epidural", "i", {}, ".sees canvas[data-painted]"),
    "compare": Picture("Epidural", "", {"viewport": {"width": 1920, "height": 1080}}, compare="densenet-small"),
}
MOVING = "demo.webp"
SCENES = (  # sample, and the keys that are pressed one after the other
    ("Patient 066, epidural", ["Home", *["PageUp"] * 2, *["ArrowUp"] * 9, "t", "3", "1", "h", "h"]),
    ("Patient 084, small bleeds", ["b", "b", "t"]),
    ("Intraparenchymal", ["t", "c", "s", "a", *["."] * 6, "9"]),
)
FRAME_MS = 420


def main() -> None:
    """Serve the demo and take the named pictures, or all."""
    names = sys.argv[1:] or list(PICTURES)
    if names == ["thumbnails"]:  # of the samples, for the page itself
        write_thumbnails()
        return
    with TemporaryDirectory() as folder, Server(Path(folder)) as server, sync_playwright() as kit:
        browser = chromium(kit, "--enable-unsafe-swiftshader")  # draws 3D without a graphics card
        if names == ["moving"]:
            _write_moving(browser, server.url)
            return
        for name in names:
            with tab(browser, **PICTURES[name].options) as page:
                page.goto(server.url)
                picture = _small(_screenshot(page, PICTURES[name]))
            (ROOT / "docs" / f"{name}.png").write_bytes(picture)
            print(f"docs/{name}.png: {len(picture) / 1000:.0f} kB")
        browser.close()


def _screenshot(page, picture: Picture) -> bytes:
    choose(page, picture.sample)
    if picture.compare:
        page.click("#compare input")
        page.get_by_role("option", name=picture.compare).click()
        page.wait_for_function("() => document.querySelectorAll('.viewer[data-found=yes]').length === 2")
        settle(page)
    page.locator(".stage").first.focus()
    for key in picture.keys:
        page.keyboard.press(key)
    if picture.wait_for:
        page.wait_for_selector(picture.wait_for, timeout=60_000)
        page.locator(picture.wait_for).last.scroll_into_view_if_needed()
    page.evaluate("() => document.activeElement.blur()")
    page.evaluate(SETTLE)
    return page.screenshot()


def _write_moving(browser, url: str) -> None:
    """docs/demo.webp: the page in use, one frame for each key."""
    frames = []
    with tab(browser, viewport={"width": 1200, "height": 800}, color_scheme="dark", reduced_motion="reduce") as page:
        page.goto(url)
        for sample, keys in SCENES:
            choose(page, sample)
            page.focus(".stage")
            for key in ["Shift", *keys]:  # the first changes nothing: the picture as it opens
                page.keyboard.press(key)
                page.evaluate(SETTLE)
                frames.append(Image.open(io.BytesIO(page.screenshot())).convert("RGB").resize((900, 600)))
    path = ROOT / "docs" / MOVING
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=FRAME_MS, loop=0, quality=60, method=4)
    print(f"docs/{MOVING}: {len(frames)} frames, {path.stat().st_size / 1000:.0f} kB")


def _small(png: bytes) -> bytes:
    """The same with 256 colors, rare ones among them: a third of the bytes."""
    out, picture = io.BytesIO(), Image.open(io.BytesIO(png)).convert("RGB")
    picture.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()


if __name__ == "__main__":
    main()
