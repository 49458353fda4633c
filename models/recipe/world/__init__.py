"""The world of coloured shapes: plain scenes, a renderer, captions with a meaning, and the split.

Nothing here depends on a model: a scene is plain data (`scene`), `render` draws it at any size,
`captions` words it, `claims` says whether a caption is true of a scene, and `split` says who may
train on it.
"""
