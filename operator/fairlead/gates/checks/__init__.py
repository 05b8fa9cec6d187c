"""The built-in checks; they register like anybody else's. Each is pure: it says what it wants to know, and what the answer means."""
