"""Trains, publishes and measures shapes-vlm, an Idefics3 that talks about pictures of the world of coloured shapes."""
