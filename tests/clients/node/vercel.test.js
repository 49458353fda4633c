// The Vercel AI SDK with its openai-compatible provider against the server that OPENAI_BASE_URL names.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateObject, generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const provider = createOpenAICompatible({
  name: "sensorium", baseURL: process.env.OPENAI_BASE_URL, apiKey: "any", includeUsage: true, supportsStructuredOutputs: true,
});
const model = provider("gpt-4o");
const image = readFileSync(process.env.EXAMPLE_IMAGE);
const messages = [{ role: "user", content: [{ type: "text", text: "What is in this image?" }, { type: "image", image }] }];

test("generateText describes a picture", async () => {
  const { text, usage, finishReason } = await generateText({ model, messages, temperature: 0 });
  assert.match(text, /\w+/);
  assert.equal(finishReason, "stop");
  assert.ok(usage.inputTokens > 0 && usage.outputTokens > 0);
});

test("streamText streams the same words", async () => {
  const whole = await generateText({ model, messages, temperature: 0 });
  const stream = streamText({ model, messages, temperature: 0 });
  let text = "";
  for await (const piece of stream.textStream) text += piece;
  assert.equal(text, whole.text);
  assert.ok((await stream.usage).outputTokens > 0);
});

test("generateObject follows a schema", async () => {
  const schema = z.object({ kind: z.enum(["one", "many"]), shapes: z.array(z.enum(["circle", "square", "star"])).min(1).max(3) });
  for (let seed = 0; seed < 5; seed++) {
    const { object } = await generateObject({ model, messages, schema, temperature: 1, seed });
    assert.ok(schema.safeParse(object).success);
  }
});

test("a tool is called and answered", async () => {
  const seen = [];
  const inputSchema = jsonSchema({ type: "object", properties: { city: { enum: ["Paris", "Oslo"] } }, required: ["city"], additionalProperties: false });
  const { steps } = await generateText({
    model, messages, toolChoice: "required", stopWhen: stepCountIs(1),
    tools: { weather: tool({ description: "The weather.", inputSchema, execute: ({ city }) => { seen.push(city); return "Rain."; } }) },
  });
  assert.ok(seen.length > 0 && seen.every((city) => ["Paris", "Oslo"].includes(city)));
  assert.equal(steps[0].finishReason, "tool-calls");
});
