"""Files: written atomically, locked, and sealed."""
