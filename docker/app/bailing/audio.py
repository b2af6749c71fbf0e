"""What PyAudio finds on this machine: PortAudio's version and the audio devices."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any, TypedDict

_lock = threading.Lock()


class AudioError(Exception):
    """PyAudio, or a library it needs, cannot be used."""


class Device(TypedDict):
    """An audio device as PortAudio describes it."""

    name: str
    host_api: str
    input_channels: int
    output_channels: int
    sample_rate: int


class Inventory(TypedDict):
    """The versions in use and the devices that are there; a container often has none."""

    pyaudio: str
    portaudio: str
    devices: list[Device]


def inventory() -> Inventory:
    """Return what PyAudio reports now; devices may come and go between two calls."""
    try:
        import pyaudio

        with _lock, _quiet():
            session = pyaudio.PyAudio()
            try:
                devices = [_device(session, index) for index in range(session.get_device_count())]
            finally:
                session.terminate()
    except (ImportError, OSError) as error:
        raise AudioError(f"no audio: {error}") from error
    return {
        "pyaudio": version("pyaudio"),
        "portaudio": pyaudio.get_portaudio_version_text(),
        "devices": devices,
    }


def _device(session: Any, index: int) -> Device:
    """Return a device in our words."""
    info = session.get_device_info_by_index(index)
    return {
        "name": info["name"],
        "host_api": session.get_host_api_info_by_index(info["hostApi"])["name"],
        "input_channels": info["maxInputChannels"],
        "output_channels": info["maxOutputChannels"],
        "sample_rate": int(info["defaultSampleRate"]),
    }


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep ALSA and JACK, which report every absent device from C, off standard error."""
    saved, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)
