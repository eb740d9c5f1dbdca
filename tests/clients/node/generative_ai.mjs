// Google's former client, @google/generative-ai: its result.response.usageMetadata is where many apps read their usage.

import { GoogleGenerativeAI } from "@google/generative-ai";
import { GoogleAICacheManager, GoogleAIFileManager } from "@google/generative-ai/server";

import {
  API_KEY, BASE_URL, EMBEDDING_MODEL, HEADERS, MODEL, PROMPT, SECOND_PROMPT, collect, main, said,
} from "./driving.mjs";

const options = { baseUrl: BASE_URL, customHeaders: HEADERS };
const client = new GoogleGenerativeAI(API_KEY);
const model = client.getGenerativeModel({ model: MODEL }, options);
const embedder = client.getGenerativeModel({ model: EMBEDDING_MODEL }, options);

function ofResults(results, facts) {
  const usages = results.map((result) => result.response.usageMetadata);
  const total = usages.reduce((sum, usage) => sum + usage.totalTokenCount, 0);
  return said(results.map((result) => result.response.text()).join("\n"), usages, total, facts);
}

async function generate() {
  return ofResults([await model.generateContent(PROMPT)]);
}

async function stream() {
  const result = await model.generateContentStream(PROMPT);
  const chunks = await collect(result.stream);
  const { usageMetadata } = await result.response;
  const facts = { "it came in pieces": chunks.length > 1 };
  return said(chunks.map((chunk) => chunk.text()).join(""), usageMetadata, usageMetadata.totalTokenCount, facts);
}

async function chat() {
  const conversation = model.startChat();
  const first = await conversation.sendMessage(PROMPT);
  return ofResults([first, await conversation.sendMessage(SECOND_PROMPT)]);
}

async function count() {
  const counted = await model.countTokens(PROMPT);
  return said(null, counted, null, { "tokens were counted": counted.totalTokens > 0 });
}

async function embed() {
  const answer = await embedder.embedContent(PROMPT);
  return said(null, null, null, { "an embedding came": answer.embedding.values.length > 100 });
}

async function embedMany() {
  const requests = [PROMPT, SECOND_PROMPT].map((text) => ({ content: { role: "user", parts: [{ text }] } }));
  const answer = await embedder.batchEmbedContents({ requests });
  return said(null, null, null, { "both embeddings came": answer.embeddings.length === 2 });
}

async function files() {
  const manager = new GoogleAIFileManager(API_KEY, options);
  const page = Buffer.from("one line for each call\n".repeat(50));
  const { file } = await manager.uploadFile(page, { mimeType: "text/plain", displayName: "page" });
  const got = await manager.getFile(file.name);
  const listed = (await manager.listFiles()).files.map((entry) => entry.name);
  const result = await model.generateContent([{ fileData: { fileUri: got.uri, mimeType: got.mimeType } }, PROMPT]);
  await manager.deleteFile(file.name);
  const left = (await manager.listFiles()).files ?? [];
  return ofResults([result], {
    "the file is got": got.name === file.name && Number(got.sizeBytes) === page.length,
    "the file is listed, and no other": listed.length === 1 && listed[0] === file.name,
    "the file is gone": left.length === 0,
  });
}

async function caches() {
  const manager = new GoogleAICacheManager(API_KEY, options);
  const contents = [{ role: "user", parts: [{ text: "one line for each call ".repeat(200) }] }];
  const cache = await manager.create({ model: `models/${MODEL}`, contents, ttlSeconds: 600 });
  const listed = (await manager.list()).cachedContents.map((entry) => entry.name);
  const result = await client.getGenerativeModelFromCachedContent(cache, {}, options).generateContent(PROMPT);
  await manager.delete(cache.name);
  return ofResults([result], {
    "the cache is listed, and no other": listed.length === 1 && listed[0] === cache.name,
    "the cache was read": result.response.usageMetadata.cachedContentTokenCount > 0,
  });
}

await main({ generate, stream, chat, count, embed, "embed-many": embedMany, files, caches });
