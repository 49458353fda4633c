// Chat with openai-node against the server that OPENAI_BASE_URL names.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

const client = new OpenAI({ maxRetries: 0 });
const model = "gpt-4o";
const url = `data:image/png;base64,${readFileSync(process.env.EXAMPLE_IMAGE).toString("base64")}`;
const ask = (text) => [{ role: "user", content: [{ type: "text", text }, { type: "image_url", image_url: { url } }] }];
const weather = {
  type: "function",
  function: {
    name: "get_weather",
    parameters: { type: "object", properties: { city: { enum: ["Paris", "Oslo"] } }, required: ["city"], additionalProperties: false },
  },
};

test("describes a picture", async () => {
  const reply = await client.chat.completions.create({ model, messages: ask("What is in this image?"), temperature: 0 });
  assert.match(reply.choices[0].message.content, /\w+/);
  assert.equal(reply.choices[0].finish_reason, "stop");
  assert.equal(reply.usage.total_tokens, reply.usage.prompt_tokens + reply.usage.completion_tokens);
});

test("streams the same words, with usage at the end", async () => {
  const request = { model, messages: ask("What is in this image?"), temperature: 0 };
  const whole = await client.chat.completions.create(request);
  let text = "";
  let usage;
  for await (const chunk of await client.chat.completions.create({ ...request, stream: true, stream_options: { include_usage: true } })) {
    text += chunk.choices[0]?.delta.content ?? "";
    usage = chunk.usage ?? usage;
  }
  assert.equal(text, whole.choices[0].message.content);
  assert.deepEqual(usage.completion_tokens, whole.usage.completion_tokens);
});

test("a tool round trip through the helper", async () => {
  const seen = [];
  const runner = client.chat.completions.runTools({
    model,
    messages: ask("What is the weather?"),
    tools: [{ ...weather, function: { ...weather.function, parse: JSON.parse, function: ({ city }) => { seen.push(city); return "Rain."; } } }],
    tool_choice: { type: "function", function: { name: "get_weather" } },
  });
  await runner.done();
  assert.ok(["Paris", "Oslo"].includes(seen[0]));
});

test("a reply is parsed into a zod schema", async () => {
  const Scene = z.object({ kind: z.enum(["one", "many"]), round: z.boolean(), names: z.array(z.enum(["circle", "square", "star"])).min(1).max(3) });
  for (let seed = 0; seed < 10; seed++) {
    const reply = await client.chat.completions.parse({
      model, seed, temperature: 1, messages: ask("As JSON."), response_format: zodResponseFormat(Scene, "scene"),
    });
    assert.ok(Scene.safeParse(reply.choices[0].message.parsed).success);
  }
});

test("an aborted stream ends, and the server goes on", async () => {
  const stream = await client.chat.completions.create({ model, messages: ask("Describe the image."), stream: true });
  for await (const chunk of stream) {
    assert.ok(chunk.id);
    break;
  }
  assert.ok((await client.chat.completions.create({ model, messages: ask("What is this?") })).id);
});

test("a bad parameter of chat is a BadRequestError that names it", async () => {
  await assert.rejects(client.chat.completions.create({ model, messages: ask("x"), temperature: 9 }), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.equal(error.param, "temperature");
    return true;
  });
});
