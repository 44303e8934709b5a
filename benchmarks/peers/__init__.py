"""One module per implementation; each has `build(setting, ...) -> step(images, labels, images, labels) -> losses`."""
