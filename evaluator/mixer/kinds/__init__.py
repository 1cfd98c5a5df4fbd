"""One module, one mixer; found by :func:`evaluator.mixer.registry.build_mixer`."""
