"""The plugins of this installation; a module put here is found at the next start."""
