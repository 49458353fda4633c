// openai-node against the server that OPENAI_BASE_URL names.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import OpenAI from "openai";

const client = new OpenAI({ maxRetries: 0 });
const model = "text-embedding-3-small";
const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);

test("lists models", async () => {
  const ids = [];
  for await (const entry of await client.models.list()) ids.push(entry.id);
  assert.ok(ids.includes("shapes-clip"));
});

test("embeds text, base64 by default", async () => {
  const byDefault = await client.embeddings.create({ model, input: ["a red circle", "a blue square"] });
  const floats = await client.embeddings.create({ model, input: ["a red circle", "a blue square"], encoding_format: "float" });
  assert.equal(byDefault.data.length, 2);
  for (const i of [0, 1]) {
    assert.ok(Math.abs(dot(byDefault.data[i].embedding, floats.data[i].embedding) - 1) < 1e-3);
  }
});

test("puts a picture and its caption close together", async () => {
  const picture = `data:image/png;base64,${readFileSync(process.env.EXAMPLE_IMAGE).toString("base64")}`;
  const input = [picture, process.env.EXAMPLE_CAPTION, process.env.OTHER_CAPTION];
  const [image, caption, other] = (await client.embeddings.create({ model, input })).data.map((d) => d.embedding);
  assert.ok(dot(image, caption) > dot(image, other));
});

test("an unknown model is a NotFoundError", async () => {
  await assert.rejects(client.embeddings.create({ model: "no-such-model", input: "x" }), (error) => {
    assert.ok(error instanceof OpenAI.NotFoundError);
    assert.equal(error.param, "model");
    assert.ok(error.requestID);
    return true;
  });
});

test("a bad parameter is a BadRequestError that names it", async () => {
  await assert.rejects(client.embeddings.create({ model, input: "x", dimensions: 100000 }), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.equal(error.param, "dimensions");
    return true;
  });
});
