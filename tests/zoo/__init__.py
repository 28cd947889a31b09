"""Every architecture of transformers, built from its default configuration, and what a report says of it held
against what torch says.

`python -m zoo` in the folder of the tests runs over all of them.
"""
