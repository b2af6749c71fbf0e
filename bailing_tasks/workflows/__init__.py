"""GitHub's workflow files: what they run, build and push for an event, and where they go wrong.

Everything here is pure: text and settings in, findings out.
"""
