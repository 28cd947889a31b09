"""A file for each package, named as it is imported, or saying so in `IMPORT`.

Its functions build models as the package's own documentation builds them: each returns a `Built`, or yields several.
`ROOTS` names the modules whose public classes are swept besides, `SKIP` the classes that are not, with why, `HINTS` what
some arguments have to be, `BEFORE` what is called before each model is built. A function whose name ends in `as_user_code` builds a model of a class of the file itself,
which holds what the package offers.
"""
