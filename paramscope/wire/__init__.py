"""Reports as versioned JSON: a copy field by field, never a dump, and read back to an equal report.

`records` has the types that the writer, the reader and `schema.json` follow. msgspec is imported with it, and so only
where JSON is read or written.
"""
