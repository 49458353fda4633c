"""Answers as JSON: pictures as records, in a settled form or under the keys that the user or a schema asks for.

An engine that holds the answer to a schema dictates keys and brackets, and asks the model for the
values alone. So in some answers only the values are learnt, under keys that the question doesn't name.
"""

import json
from random import Random

from ..world.scene import Object, Scene
from .ask import unique
from .describe import TONES, caption, in_order, place
from .phrases import CAPTION, LIST

PLAIN = (
    "Describe the picture as JSON.", "Describe this picture in JSON.", "Answer in JSON.", "Return JSON.", "List the shapes as JSON.", "Give me the shapes in JSON format.", "Extract the shapes.",
    "Extract the shapes from the picture.", "Output a JSON object that describes the picture.", "Return the shapes in the picture as JSON.", "Describe the picture. Answer in JSON.", "Extract the objects.",
    "What is in this picture? Answer in JSON.", "What shapes are in the picture? Respond in JSON.", "Respond with JSON only.", "Describe the shape as JSON.", "JSON:", "Extract all objects from this picture as JSON.",
)
KEYED = (
    "Describe the picture as JSON with the keys {}.", "Answer in JSON with the fields {}.", "Return a JSON object with {}.", "Extract {} as JSON.", "Give me JSON with {}.", "Respond in JSON with the keys {}.",
    "Return JSON with the following keys: {}.", "Describe the picture. Answer as JSON: {}.",
)
WHOLE_KEYS = {  # key: what it holds of the scene
    "count": "count", "number": "count", "number_of_shapes": "count", "total": "count", "num_shapes": "count", "num_objects": "count", "shape_count": "count",
    "colors": "colours", "colours": "colours", "description": "caption", "caption": "caption", "summary": "caption", "text": "caption", "answer": "caption", "title": "caption", "alt": "caption",
    "background": "tone", "shapes": "list", "objects": "list", "items": "list", "figures": "list", "things": "list", "elements": "list",
}
OBJECT_KEYS = {  # key: attribute of an object
    "color": "colour", "colour": "colour", "shape": "shape", "kind": "shape", "type": "shape", "size": "size", "position": "place", "place": "place", "location": "place", "name": "name", "object": "name",
    "label": "name",
}
SETTLED = ("size", "colour", "shape", "position")


class Writer:
    """JSON text put together piece by piece, with the spans that are dictated rather than said."""

    def __init__(self):
        self.text, self.dictated = "", []

    def value(self, value) -> None:
        self.text += json.dumps(value, ensure_ascii=False)

    def mark(self, text: str) -> None:
        """Keys and brackets."""
        self.dictated.append((len(self.text), len(self.text) + len(text)))
        self.text += text

    def record(self, keys, write) -> None:
        """{"key": ...} with `write(key)` for each value."""
        for k, key in enumerate(keys):
            self.mark(("{" if k == 0 else ", ") + f'"{key}": ')
            write(key)
        self.mark("}")

    def array(self, items, write) -> None:
        for k, item in enumerate(items):
            self.mark("[" if k == 0 else ", ")
            write(item)
        self.mark("]")


def record(scene: Scene, rng: Random) -> tuple[str, str, tuple[tuple[int, int], ...]]:
    """(question, answer, spans of the answer that are dictated)."""
    luck = rng.random()
    if luck < 0.35:
        return rng.choice(PLAIN), _settled(scene), ()
    writer = Writer()
    keys = _object_keys(rng) if rng.random() < 0.4 else _whole_keys(rng)
    details = _object_keys(rng) if rng.random() < 0.7 else None
    first = in_order(scene.objects)[0]
    if keys[0] in OBJECT_KEYS:
        writer.record(keys, lambda key: writer.value(_attribute(first, key)))
    else:
        writer.record(keys, lambda key: _whole(writer, scene, key, details))
    if luck < 0.6:
        lists = any(WHOLE_KEYS.get(k) == "list" for k in keys)
        asked = rng.choice(KEYED).format(_listed(keys, rng))
        if lists:
            asked += f" Each has {_listed(details, rng)}." if details else " Each is a string."
        return asked, writer.text, ()
    return rng.choice(PLAIN), writer.text, tuple(writer.dictated)


def pointed(scene: Scene, rng: Random) -> tuple[str, str, tuple[tuple[int, int], ...]] | None:
    """The same to a question that says nothing of JSON, as clients with a schema ask: of the picture, or of one of its
    objects ("What is in the top left?"); None where this try found no words for one."""
    writer = Writer()
    if rng.random() < 0.3:
        keys, details = _whole_keys(rng), _object_keys(rng) if rng.random() < 0.7 else None
        writer.record(keys, lambda key: _whole(writer, scene, key, details))
        return rng.choice(CAPTION + LIST), writer.text, tuple(writer.dictated)
    found = unique(scene, rng, ("place", "place", "colour", "shape", "colour shape"))
    if found is None:
        return None
    obj, said = found
    writer.record(_object_keys(rng), lambda key: writer.value(_attribute(obj, key)))
    if said.want.column is not None and rng.random() < 0.7:
        asked = rng.choice(("What is {}?", "What is {}?", "Which shape is {}?", "What do you see {}?", "Describe what is {}.")).format(said.text.split(" ", 1)[1])
    else:
        asked = rng.choice(("Describe the {}.", "What is the {}?", "Tell me about the {}.", "Look at the {}.", "Extract the {}.")).format(said.text)
    return asked, writer.text, tuple(writer.dictated)


def _settled(scene) -> str:
    return json.dumps({"shapes": [{key: _attribute(o, key) for key in SETTLED} for o in in_order(scene.objects)]})


def _whole(writer, scene, key, details) -> None:
    objects, kind = in_order(scene.objects), WHOLE_KEYS[key]
    if kind == "list" and details:
        writer.array(objects, lambda o: writer.record(details, lambda k: writer.value(_attribute(o, k))))
    elif kind == "list":
        writer.array([_attribute(o, "name") for o in objects], writer.value)
    elif kind == "colours":
        writer.array(list(dict.fromkeys(o.colour for o in objects)), writer.value)
    else:
        writer.value({"count": len(objects), "caption": caption(scene), "tone": TONES[scene.background.tone]}[kind])


def _attribute(obj: Object, key: str) -> str:
    kind = OBJECT_KEYS[key]
    if kind == "name":
        return f"{obj.colour} {obj.shape}"
    if kind == "place":
        return place(obj).split("the ", 1)[1].removeprefix("the ")
    return getattr(obj, kind)


def _object_keys(rng) -> list[str]:
    return _distinct(rng, OBJECT_KEYS, rng.randint(1, 4))


def _whole_keys(rng) -> list[str]:
    return _distinct(rng, WHOLE_KEYS, rng.randint(1, 3))


def _distinct(rng, pool, count) -> list[str]:
    """Keys of different meaning."""
    keys = rng.sample(list(pool), len(pool))
    return list({pool[k]: k for k in keys}.values())[:count]


def _listed(keys, rng) -> str:
    mark = rng.choice(('"', '"', "'", "`", ""))
    keys = [f"{mark}{k}{mark}" for k in keys]
    return keys[0] if len(keys) == 1 else ", ".join(keys[:-1]) + " and " + keys[-1]
