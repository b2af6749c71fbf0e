"""Dockerfiles as BuildKit v0.32 reads them: text to stages, external images and context inputs.

Everything here is pure: no file, no process, no network.
"""

from bailing_tasks.dockerfile.analysis import (
    ExternalImage,
    Mention,
    StageInfo,
    context_inputs,
    declared_args,
    external_images,
    instructions,
    labels,
    onbuild_instructions,
    remote_inputs,
    stages,
    syntax_frontend,
    unknown_syntax,
)
from bailing_tasks.dockerfile.evaluation import ContextInput
from bailing_tasks.dockerfile.pins import pin_images
from bailing_tasks.dockerfile.states import OnBuild
from bailing_tasks.errors import DockerfileError

__all__ = [
    "ContextInput",
    "DockerfileError",
    "ExternalImage",
    "Mention",
    "OnBuild",
    "StageInfo",
    "context_inputs",
    "declared_args",
    "external_images",
    "instructions",
    "labels",
    "onbuild_instructions",
    "pin_images",
    "remote_inputs",
    "stages",
    "syntax_frontend",
    "unknown_syntax",
]
