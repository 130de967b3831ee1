"""The Lightning protocol, pure: bytes in, values out. No I/O, no clock, no asyncio, no logging."""
