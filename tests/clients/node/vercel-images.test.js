// Images with the Vercel AI SDK and its openai-compatible provider against the server that OPENAI_BASE_URL names.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateImage } from "ai";

const provider = createOpenAICompatible({ name: "sensorium", baseURL: process.env.OPENAI_BASE_URL, apiKey: "any" });
const model = provider.imageModel("gpt-image-1");

test("generateImage makes a picture", async () => {
  const { image } = await generateImage({ model, prompt: "a red circle", maxRetries: 0 });
  assert.equal(image.mediaType, "image/png");
  assert.equal(Buffer.from(image.uint8Array).subarray(1, 4).toString(), "PNG");
});

test("generateImage makes several of a size", async () => {
  const { images } = await generateImage({
    model, prompt: "a red circle", n: 2, size: "128x128", maxRetries: 0, providerOptions: { sensorium: { seed: 7, steps: 4 } },
  });
  assert.equal(images.length, 2);
  assert.notEqual(images[0].base64, images[1].base64);
});
