"""Real engines for what takes long: the fixtures of tests/engine."""

from tests.engine.conftest import containerd, engine, home

__all__ = ["containerd", "engine", "home"]
