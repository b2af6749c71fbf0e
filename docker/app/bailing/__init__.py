"""The voice application without its server: configuration, audio devices, plugins."""

__version__ = "0.1.0"
