"""Measures the server beside a bare Flask app on the same server; ``make bench`` runs it."""
