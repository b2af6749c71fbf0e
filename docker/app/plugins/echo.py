"""Says what was said."""

from bailing.plugins import Plugin

plugin = Plugin(description="Repeats what nobody before it answered", answer=str.strip)
