"""Callbacks for trainers of others: a file each, which imports its framework, imported only where asked for."""
