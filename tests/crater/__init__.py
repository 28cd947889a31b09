"""Packages that nobody here wrote, their models built as their users build them, and what the rules say of them, judged
by reading the packages' source.

`make crater` runs over all of them, in a venv of their own. A package is one file in `packages/` and a line in
`requirements.txt`; what was judged stands in `verdicts.toml`.
"""
