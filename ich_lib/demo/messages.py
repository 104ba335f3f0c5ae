"""What the page says while it works and when it refuses, as the markup of its line of status."""

import html


def busy_text(share: float) -> str:
    """A scan is being read; the share done is 0 to 1."""
    return _progress_text("Reading the scan and looking for blood.", share)


def writing_text(share: float) -> str:
    """Downloads are being written."""
    return _progress_text("Writing the files.", share)


def _progress_text(activity: str, share: float) -> str:
    return message(f"{activity} {share:.0%} done." if share else f"{activity} This takes some seconds.", "busy")


def message(text: str, kind: str) -> str:
    """One sentence; `kind` is "busy", "stopped" or "wrong"."""
    return f"<p class='{kind}'>{html.escape(text)}</p>"
