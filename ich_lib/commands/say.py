"""What a command tells the person."""


def say(text: str) -> None:
    """One or more lines on stdout."""
    print(text)  # noqa: T201
