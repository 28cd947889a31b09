"""Formats for what runs checks, and annotates code with them."""
