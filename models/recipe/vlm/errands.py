"""Tool calls: tools listed in the head, requests that one of them can serve, and what is said of the result.

The model learns to pick the listed tool whose name fits, to copy arguments from the request or to
read them off the picture, and to repeat the tool's answer. More a model of this size doesn't promise.
"""

import json
from dataclasses import dataclass
from random import Random

from ..world.scene import Scene
from ..world.vocabulary import COLOUR_NAMES, NEVER_SHOWN_PAIRS, SHAPES, SIZES
from . import chitchat
from .ask import unique
from .describe import in_order, place, plural


@dataclass(frozen=True)
class Tool:
    """A tool as its line in the head shows it, and what it is for (a key of `ERRANDS`)."""

    name: str
    description: str
    parameters: tuple[tuple[str, str], ...]  # name, type
    kind: str

    def line(self) -> str:
        """As `chat_template.jinja` lists it."""
        inside = ", ".join(f"{name}: {kind}" for name, kind in self.parameters)
        return f"{self.name}({inside})" + (f" - {self.description}" if self.description else "")

    def schema(self) -> dict:
        """As an OpenAI client sends it."""
        kinds = {p: {"type": "string", "enum": k.split("|")} if "|" in k else {"type": k} for p, k in self.parameters}
        return {"type": "function", "function": {
            "name": self.name, "description": self.description, "parameters": {"type": "object", "properties": kinds},
        }}


def toolset(rng: Random) -> list[Tool]:
    """One to four tools of different kinds."""
    return [_tool(kind, rng) for kind in rng.sample(list(ERRANDS), rng.choices((1, 2, 3, 4), (5, 3, 2, 1))[0])]


def listing(tools: list[Tool]) -> str:
    """The text of the head's tool turn."""
    return "Tools:\n" + "\n".join(t.line() for t in tools)


def errand(tools: list[Tool], scene: Scene | None, rng: Random) -> tuple[str, list[tuple[Tool, dict]]] | None:
    """A request and the calls that serve it; None where this try found none."""
    tool = rng.choice(tools)
    return ERRANDS[tool.kind][2](tool, scene, rng)


def call(tool: Tool, arguments: dict) -> str:
    """The call as the template writes it into the history."""
    return f'<tool_call>{{"name": "{tool.name}", "arguments": {json.dumps(arguments, ensure_ascii=False)}}}</tool_call>'


def report(results: tuple[str, ...]) -> str:
    """What the model says of the results, word for word as they are."""
    return f"The tool says: {results[0]}" if len(results) == 1 else f"The tools say: {'; '.join(results)}"


def result(rng: Random) -> str:
    """What some tool may answer."""
    words, n = chitchat.WORDS, rng.choice((rng.randint(0, 30), rng.randint(0, 9999)))
    one = rng.choice(words)
    return rng.choice((
        "ok", "OK", "done", "true", "null", "success", "not found", f"{n}", f"{n} {one}", f"{n} degrees", f"{n}°C, {one}", f"{rng.choice(COLOUR_NAMES)}", '{"ok": true}', f'{{"status": "{one}"}}',
        f'{{"{one}": {n}}}', f'{{"temperature": {n}}}', f'{{"temperature": {n}, "unit": "C"}}', f'{{"result": {n}}}', " ".join(rng.choices(words, k=rng.randint(1, 7))), f"It is {n} degrees and {one}.",
        f'{{"price": {n}.{rng.randint(10, 99)}}}', f'["{one}", "{rng.choice(words)}"]',
    ))


def _tool(kind: str, rng: Random) -> Tool:
    names, makers, _ = ERRANDS[kind]
    name, description, parameters = rng.choice(names), rng.choice(("", *makers[0])), rng.choice(makers[1])
    if rng.random() < 0.15:  # any name, so that the listed one is copied
        name = f"{name}_{rng.choice(chitchat.WORDS)}"
    if rng.random() < 0.1:
        name = "".join(p.capitalize() if i else p for i, p in enumerate(name.split("_")))
    return Tool(name, description, tuple((p, t) for p, t in parameters), kind)


def _fill(tool: Tool, values: dict) -> dict:
    """Arguments under the tool's own parameter names, those that are known."""
    return {p: values[ROLES.get(p, p)] for p, _ in tool.parameters if ROLES.get(p, p) in values}


# parameter name -> what it means, where the two differ
ROLES = {"color": "colour", "city": "place", "location": "place", "town": "place", "q": "query", "text": "query", "term": "query", "figure": "shape", "kind": "shape", "position": "spot", "where": "spot",
         "x": "a", "y": "b", "first": "a", "second": "b", "message": "words", "body": "words", "recipient": "to", "name": "to", "symbol": "ticker", "n": "count", "number": "count", "how_many": "count"}


def _weather(tool, scene, rng):
    ask = rng.choice(("What's the weather in {}?", "What is the weather in {}?", "What's the weather like in {} today?", "What is the weather like in {}?", "How is the weather in {}?", "Weather in {}",
                      "What is the temperature in {}?", "Is it raining in {}?", "Tell me the weather in {}.", "Will it rain in {} tomorrow?"))
    cities = [_city(rng) for _ in range(2 if rng.random() < 0.15 else 1)]
    return ask.format(" and ".join(cities)), [(tool, _fill(tool, {"place": c, "unit": "celsius"})) for c in cities]


def _time(tool, scene, rng):
    city = _city(rng)
    ask = rng.choice(("What time is it in {}?", "What is the time in {}?", "Tell me the time in {}.", "Current time in {}?"))
    return ask.format(city), [(tool, _fill(tool, {"place": city}))]


def _search(tool, scene, rng):
    query = " ".join(rng.choices(chitchat.WORDS, k=rng.randint(1, 4))) if rng.random() < 0.6 else rng.choice(chitchat.TOPICS)
    ask = rng.choice(("Search for {}.", "Look up {}.", "Search for {}", "Find {} on the web.", "Google {}.", "Please search for {}.", "Find information about {}."))
    return ask.format(query), [(tool, _fill(tool, {"query": query}))]


def _add(tool, scene, rng):
    a, b = (rng.choice((rng.randint(0, 12), rng.randint(0, 999))) for _ in range(2))
    ask = rng.choice(("Add {} and {}.", "What is {} plus {}?", "What is {} + {}?", "{} + {}", "Calculate {} + {}.", "Sum {} and {}."))
    return ask.format(a, b), [(tool, _fill(tool, {"a": a, "b": b}))]


def _message(tool, scene, rng):
    to, words = rng.choice(PEOPLE), " ".join(rng.choices(chitchat.WORDS, k=rng.randint(1, 5)))
    ask = rng.choice(("Tell {}: {}", "Write to {}: {}", "Send {} the message: {}", "Message {}: {}", "Send a message to {}: {}"))
    return ask.format(to, words), [(tool, _fill(tool, {"to": to, "words": words}))]


def _stock(tool, scene, rng):
    ticker = "".join(rng.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=rng.randint(2, 5)))
    return rng.choice(("What is the price of {}?", "Stock price of {}?", "How much is {} stock?", "Get the price of {}.")).format(ticker), [(tool, _fill(tool, {"ticker": ticker}))]


def _paint(tool, scene, rng):
    """Arguments from the request: "Paint a small red circle."."""
    while True:
        values = {"colour": rng.choice(COLOUR_NAMES), "shape": rng.choice(SHAPES), "size": rng.choice(SIZES), "count": rng.randint(2, 9)}
        if (values["colour"], values["shape"]) not in NEVER_SHOWN_PAIRS:
            break
    named = {ROLES.get(p, p) for p, _ in tool.parameters}
    words = " ".join(str(values[k]) for k in ("size", "colour", "shape") if k in named)
    ask = rng.choice(("Paint {}.", "Draw {}.", "Add {}.", "Please draw {}.", "Make {}.", "Create {}.", "I want {}.", "Can you draw {}?", "Draw me {}."))
    if "count" in named:
        return ask.format(f"{values['count']} {plural(words)}"), [(tool, _fill(tool, values))]
    if rng.random() < 0.12:
        other = dict(values, colour=rng.choice([c for c in COLOUR_NAMES if (c, values["shape"]) not in NEVER_SHOWN_PAIRS]))
        more = " ".join(str(other[k]) for k in ("size", "colour", "shape") if k in named)
        return ask.format(f"a {words} and a {more}"), [(tool, _fill(tool, values)), (tool, _fill(tool, other))]
    return ask.format(f"a {words}"), [(tool, _fill(tool, values))]


def _report(tool, scene, rng):
    """Arguments read off the picture: "Save the shape in the top left."."""
    if scene is None:
        return None
    if rng.random() < 0.3 and len(scene.objects) > 1:
        ask = rng.choice(("Save all shapes.", "Report every shape.", "Save the shapes in the picture.", "Store all the shapes you see.", "Log every object."))
        return ask, [(tool, _seen(tool, o)) for o in in_order(scene.objects)]
    found = unique(scene, rng, ("shape", "colour", "place", "colour shape"))
    if len(scene.objects) == 1 and rng.random() < 0.5:
        ask, obj = rng.choice(("Save the shape.", "Report what you see.", "Save what is in the picture.", "Store the shape in the picture.", "Log the object.", "Report the shape in this picture.")), scene.objects[0]
    elif found:
        obj, said = found
        ask = rng.choice(("Save the {}.", "Report the {}.", "Store the {}.", "Log the {}.", "Please save the {}.")).format(said.text)
    else:
        return None
    return ask, [(tool, _seen(tool, obj))]


def _seen(tool, obj) -> dict:
    return _fill(tool, {"colour": obj.colour, "shape": obj.shape, "size": obj.size, "spot": place(obj).split("the ", 1)[1]})


def _city(rng) -> str:
    return rng.choice(chitchat.PLACES) if rng.random() < 0.5 else rng.choice(chitchat.WORDS).capitalize() + rng.choice(("", "", "ville", " City", "burg", "ton"))


PEOPLE = ("Anna", "Bob", "Carl", "Dora", "Eve", "Frank", "Grace", "Henry", "Ida", "Jack", "Kate", "Leo", "Mia", "Nina", "Otto", "Paul", "Alice", "Tom", "Zoe", "Sam")
S, I = "string", "integer"
# kind -> (names, (descriptions, parameter sets), maker of (request, calls))
ERRANDS = {
    "weather": (("get_weather", "get_current_weather", "weather", "fetch_weather", "get_temperature", "get_forecast"),
                (("Get the current weather in a given location", "Get the weather", "Get current temperature for a given location.", "Returns the weather of a city."),
                 ((("location", S),), (("city", S),), (("location", S), ("unit", "celsius|fahrenheit")), (("city", S), ("unit", S)))), _weather),
    "time": (("get_time", "current_time", "get_current_time"), (("Get the current time in a place", "Tells the time"), ((("city", S),), (("location", S),), (("place", S),))), _time),
    "search": (("search", "web_search", "search_web", "lookup", "find"), (("Search the web", "Look something up"), ((("query", S),), (("q", S),), (("term", S),))), _search),
    "add": (("add", "sum", "add_numbers", "calculate_sum"), (("Add two numbers", "Sum of two integers"), ((("a", I), ("b", I)), (("x", I), ("y", I)), (("first", I), ("second", I)), (("a", "number"), ("b", "number")))), _add),
    "message": (("send_message", "message", "send_email", "notify"), (("Send a message to someone", "Writes to a person"), ((("to", S), ("message", S)), (("recipient", S), ("body", S)), (("name", S), ("message", S)))), _message),
    "stock": (("get_stock_price", "stock_price", "get_price", "quote"), (("Get the price of a stock", "Current stock price"), ((("ticker", S),), (("symbol", S),))), _stock),
    "paint": (("draw_shape", "paint", "draw", "add_shape", "create_shape", "make_figure", "paint_shape"),
              (("Draw a shape", "Paints a coloured shape", "Adds a shape to the canvas"),
               ((("color", S), ("shape", S)), (("colour", S), ("shape", S)), (("shape", S), ("color", S), ("size", S)), (("shape", S),), (("shape", S), ("count", I)), (("size", S), ("colour", S), ("shape", S)))), _paint),
    "report": (("save_shape", "report_shape", "store_shape", "log_object", "report", "save", "record_shape"),
               (("Saves a shape", "Report a shape in the picture", "Records what is seen"),
                ((("color", S), ("shape", S)), (("colour", S), ("shape", S)), (("shape", S), ("color", S), ("size", S)), (("color", S),), (("shape", S), ("position", S)), (("kind", S), ("colour", S)))), _report),
}
