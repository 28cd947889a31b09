"""An example of a rule of one's own for paramscope."""
