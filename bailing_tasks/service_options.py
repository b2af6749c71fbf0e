"""The settings that a service has: for each its key, type, default and help."""

from __future__ import annotations

from bailing_tasks.option import Option, as_patterns, as_repository, as_table, as_text, as_texts

SERVICE_OPTIONS: tuple[Option, ...] = (
    Option(key="dockerfile", parse=as_text, default="", help="its Dockerfile"),
    Option(key="stage", parse=as_text, default="", help="the stage to build; empty for the last"),
    Option(
        key="stages",
        parse=as_texts,
        default=[],
        help="stages that are images of their own, called after the service and the stage",
    ),
    Option(key="context", parse=as_text, default="", help="the build context"),
    Option(
        key="image", parse=as_text, default="", help="its local name; by `service-image` by default"
    ),
    Option(
        key="repository",
        parse=as_repository,
        default="",
        help="where it is published; by `service-repository` by default",
    ),
    Option(
        key="build-args",
        parse=as_table,
        default={},
        help="build arguments; {service} and {version} stand for its own",
    ),
    Option(
        key="secrets", parse=as_table, default={}, help="build secrets by id: a file, or env:NAME"
    ),
    Option(
        key="triggers",
        parse=as_patterns,
        default=[],
        help="the files whose change builds it; what it is made from by default",
    ),
    Option(
        key="tags",
        parse=as_texts,
        default=("latest", "{version}", "{branch}"),
        help="the tags it is published under",
    ),
    Option(key="needs", parse=as_texts, default=[], help="services that are built before it"),
    Option(
        key="from-image",
        parse=as_text,
        default="",
        help="the image that it is under another name, instead of a Dockerfile",
    ),
)
"""The settings of a service, in `[tool.bailing-tasks.service.NAME]`."""
