"""Bundles: one file with every image of a workspace, for machines without a network."""
