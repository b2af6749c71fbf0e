"""The TOML parser: tomli, whose compiled wheels are quicker than the standard library's copy of it.

That copy reads the settings for nox sessions in an environment that has nox alone.
"""

try:
    from tomli import loads
except ImportError:
    from tomllib import loads

__all__ = ["loads"]
