"""The page for people: plain HTML that says what this installation is made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from html import escape

from bailing import __version__
from bailing.audio import AudioError, inventory
from bailing.config import Config
from bailing.plugins import Found

PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Bailing</title>
<style>
  body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 50rem; margin: auto; padding: 1rem }}
  table {{ border-collapse: collapse }}
  th, td {{ text-align: left; padding: .2rem .8rem; border-bottom: 1px solid #8884 }}
</style>
<h1>Bailing {version}</h1>
<h2>Audio</h2>
{audio}
<h2>Plugins</h2>
{plugins}
<h2>Configuration</h2>
{config}
</html>
"""


def render(config: Config, found: Iterable[Found]) -> str:
    """Return the page."""
    plugins = [(item.name, item.state, item.description) for item in found]
    settings = [
        (f"{section}.{key}", ", ".join(value) if isinstance(value, tuple) else value)
        for section, values in asdict(config).items()
        for key, value in values.items()
    ]
    return PAGE.format(
        version=escape(__version__),
        audio=_audio(),
        plugins=_table(("Plugin", "State", "Description"), plugins),
        config=_table(("Setting", "Value"), settings),
    )


def _audio() -> str:
    """Return the versions and the devices, or why there are none."""
    try:
        audio = inventory()
    except AudioError as error:
        return f"<p>{escape(str(error))}</p>"
    versions = f"<p>{escape(audio['portaudio'])}; PyAudio {escape(audio['pyaudio'])}</p>\n"
    if not audio["devices"]:
        return versions + "<p>No audio device here, as usual in a container.</p>"
    devices = [tuple(device.values()) for device in audio["devices"]]
    return versions + _table(("Device", "Host API", "In", "Out", "Hz"), devices)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table; every cell is text, whatever is in it."""
    lines = [("th", head), *(("td", row) for row in rows)]
    cells = ("".join(f"<{tag}>{escape(str(cell))}" for cell in row) for tag, row in lines)
    return "<table>\n" + "".join(f"<tr>{line}\n" for line in cells) + "</table>"
