"""Recipes of the bundled models. `world` is the shared world of coloured shapes; `clip` trains shapes-clip."""
