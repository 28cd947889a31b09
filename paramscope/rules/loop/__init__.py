"""PS72x: what the steps of a training loop showed, while `paramscope.watch` looked on."""
