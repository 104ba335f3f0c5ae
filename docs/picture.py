"""Make docs/demo.png: the demo with its first sample in headless Chromium.

python docs/picture.py
"""

import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Serve the demo on a free port, wait for its first result, take the picture."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    served = subprocess.Popen([sys.executable, "app.py", "--port", str(port)], cwd=ROOT)
    try:
        address = f"http://127.0.0.1:{port}"
        _wait(address)
        with sync_playwright() as playwright:
            flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
            page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="dark")
            page.goto(address)
            page.get_by_text("pattern most like").first.wait_for(timeout=60_000)
            page.wait_for_timeout(1500)  # until the slices are unpacked
            page.screenshot(path=ROOT / "docs" / "demo.png")
            browser.close()
    finally:
        served.terminate()
        served.wait()


def _wait(address: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError(f"{address} did not answer in {seconds:.0f} s.")


if __name__ == "__main__":
    main()
