"""Trains, publishes and measures shapes-clip, a CLIPModel of the world of coloured shapes."""
