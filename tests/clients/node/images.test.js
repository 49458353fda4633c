// Images with openai-node against the server that OPENAI_BASE_URL names.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import OpenAI, { toFile } from "openai";

const client = new OpenAI({ maxRetries: 0 });
const model = "gpt-image-1";
const prompt = "a red circle above a blue square";
const example = () => toFile(readFileSync(process.env.EXAMPLE_IMAGE), "image.png", { type: "image/png" });
const bytes = (image) => Buffer.from(image.b64_json, "base64");
const isPng = (file) => file.subarray(1, 4).toString() === "PNG";

test("makes a picture of a prompt", async () => {
  const reply = await client.images.generate({ model, prompt });
  assert.ok(isPng(bytes(reply.data[0])));
  assert.match(reply.size, /^\d+x\d+$/);
  assert.ok(reply.usage.input_tokens > 0);
});

test("equal seeds make equal pictures", async () => {
  const [one, other] = await Promise.all([1, 2].map(() => client.images.generate({ model, prompt, seed: 7, steps: 4, n: 2 })));
  assert.deepEqual(one.data, other.data);
  assert.deepEqual(one.data.map((image) => image.seed), [7, 8]);
});

test("streams partial images", async () => {
  const stream = await client.images.generate({ model, prompt, seed: 3, steps: 12, stream: true, partial_images: 3 });
  const types = [];
  let last;
  for await (const event of stream) {
    types.push(event.type);
    last = event;
  }
  assert.deepEqual(types, [...Array(3).fill("image_generation.partial_image"), "image_generation.completed"]);
  assert.ok(isPng(bytes(last)) && last.usage.total_tokens > 0);
});

test("edits a picture where it is transparent in the mask", async () => {
  const mask = await toFile(Buffer.from(process.env.MASK_IMAGE, "base64"), "mask.png", { type: "image/png" });
  const reply = await client.images.edit({ model, image: await example(), mask, prompt: "a green star" });
  assert.ok(isPng(bytes(reply.data[0])));
});

test("varies a picture", async () => {
  const reply = await client.images.createVariation({ model, image: await example(), n: 2, response_format: "b64_json" });
  assert.equal(reply.data.length, 2);
  assert.notDeepEqual(reply.data[0].b64_json, reply.data[1].b64_json);
});

test("a bad parameter of an image is a BadRequestError that names it", async () => {
  await assert.rejects(client.images.generate({ model, prompt, size: "7x7" }), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.equal(error.param, "size");
    return true;
  });
});
