"""The HTTP side: an ASGI application and its page."""
