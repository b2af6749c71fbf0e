"""Speaks to Docker, BuildKit and registries."""
