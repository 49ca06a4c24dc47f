"""Where accounts and their tasks are kept."""
