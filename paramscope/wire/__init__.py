"""Reports as versioned JSON: a copy field by field, never a dump, and read back to an equal report.

`fields` is the one table that the writer, the reader and `schema.json` follow.
"""

FORMAT = "paramscope.report"
VERSION = 1
