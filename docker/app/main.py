"""Serve Bailing; with `--probe`, ask the server that runs here for its health."""

from __future__ import annotations

import argparse
import http.client
import logging
import sys

from bailing import __version__
from bailing.config import Config, ConfigError, load

SHUTDOWN_SECONDS = 5
"""How long open requests may take to end after SIGTERM."""


def main() -> int:
    """Run what the command line asks for and return the exit code."""
    parser = argparse.ArgumentParser(prog="bailing", description="A small voice application.")
    parser.add_argument("--probe", action="store_true", help="ask the running server its health")
    parser.add_argument("--version", action="version", version=__version__)
    arguments = parser.parse_args()
    try:
        config = load()
    except ConfigError as error:
        print(f"bailing: {error}", file=sys.stderr)
        return 2
    return probe(config) if arguments.probe else serve(config)


def serve(config: Config) -> int:
    """Serve until SIGTERM or SIGINT."""
    import uvicorn

    from server.app import create

    level = config.server.log_level.upper()
    logging.basicConfig(
        level=level, stream=sys.stdout, format="%(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("bailing").info("version %s on port %d", __version__, config.server.port)
    uvicorn.run(
        create(config),
        host=config.server.host,
        port=config.server.port,
        log_config=None,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    return 0


def probe(config: Config) -> int:
    """Return 0 if the server of this machine answers that it is healthy."""
    host = "127.0.0.1" if config.server.host == "0.0.0.0" else config.server.host
    connection = http.client.HTTPConnection(host, config.server.port, timeout=3)
    try:
        connection.request("GET", "/health")
        return 0 if connection.getresponse().status == http.client.OK else 1
    except (OSError, http.client.HTTPException) as error:
        print(f"bailing: not healthy: {error}", file=sys.stderr)
        return 1
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
