"""Tells the time."""

from datetime import datetime

from bailing.plugins import Plugin


def answer(text: str) -> str | None:
    """Answer a question about the time."""
    if not any(word in text.lower() for word in ("what time", "几点")):
        return None
    return datetime.now().astimezone().strftime("It is %H:%M.")


plugin = Plugin(description="Tells the time when it is asked for it", answer=answer)
