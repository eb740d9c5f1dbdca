// The AI SDK with its provider for Gemini, @ai-sdk/google.

import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { embed, generateText, streamText } from "ai";

import {
  API_KEY, BASE_URL, EMBEDDING_MODEL, HEADERS, IMAGE_MODEL, MODEL, PROMPT, SECOND_PROMPT, collect, main, said,
} from "./driving.mjs";

const google = createGoogleGenerativeAI({ apiKey: API_KEY, baseURL: `${BASE_URL}/v1beta`, headers: HEADERS });
const settings = { model: google(MODEL), maxRetries: 0 };

function ofResults(results, facts) {
  const total = results.reduce((sum, result) => sum + result.usage.totalTokens, 0);
  return said(results.map((result) => result.text).join("\n"), results.map((result) => result.usage), total, facts);
}

async function generate() {
  return ofResults([await generateText({ ...settings, prompt: PROMPT })]);
}

async function stream() {
  const result = streamText({ ...settings, prompt: PROMPT });
  const texts = await collect(result.textStream);
  const usage = await result.usage;
  return said(texts.join(""), usage, usage.totalTokens, { "it came in pieces": texts.length > 1 });
}

async function chat() {
  const question = { role: "user", content: PROMPT };
  const first = await generateText({ ...settings, messages: [question] });
  const answered = { role: "assistant", content: first.text };
  const messages = [question, answered, { role: "user", content: SECOND_PROMPT }];
  return ofResults([first, await generateText({ ...settings, messages })]);
}

async function image() {
  const result = await generateText({ ...settings, model: google(IMAGE_MODEL), prompt: "Draw the book" });
  const facts = { "an image came": result.files.length === 1 && result.files[0].mediaType === "image/png" };
  return said(null, result.usage, result.usage.totalTokens, facts);
}

async function embedOne() {
  const result = await embed({ model: google.embedding(EMBEDDING_MODEL), value: PROMPT, maxRetries: 0 });
  return said(null, result.usage, null, { "an embedding came": result.embedding.length > 100 });
}

async function interactions() {
  return ofResults([await generateText({ ...settings, model: google.interactions(MODEL), prompt: PROMPT })]);
}

await main({ generate, stream, chat, image, embed: embedOne, interactions });
