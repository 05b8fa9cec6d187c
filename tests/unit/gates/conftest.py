"""Probing runs on loops of their own."""

import asyncio

# pytest-asyncio asks for "the current loop" around fixtures; on Python 3.11 that makes one which nobody closes, unless
# it has been said before that there is none.
asyncio.set_event_loop(None)
