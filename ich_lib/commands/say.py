"""Output of a command."""


def say(text: str) -> None:
    """One or more lines on stdout."""
    print(text)  # noqa: T201
