"""What the vendor does, as plain Python: no web framework, no machine clock, no store of its own."""
