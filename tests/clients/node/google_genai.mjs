// Google's own client, @google/genai: the same program for its 2.x and 3.x, whichever GENAI_PACKAGE names.

import {
  API_KEY, BASE_URL, EMBEDDING_MODEL, HEADERS, IMAGE_MODEL, LIVE_MODEL, MODEL, POLLS_MOST, PROMPT, SECOND_PROMPT, VERTEX,
  collect, main, pause, said,
} from "./driving.mjs";

const { GoogleGenAI, JobState, Modality } = await import(process.env.GENAI_PACKAGE);
const client = new GoogleGenAI(
  VERTEX ? { ...VERTEX, googleAuthOptions: { apiKey: API_KEY }, httpOptions: options() }
    : { apiKey: API_KEY, httpOptions: options() },
);

function options(more = {}) {
  return { baseUrl: BASE_URL, headers: { ...HEADERS, ...more } };
}

function ofAnswers(answers, facts) {
  const total = answers.reduce((sum, answer) => sum + answer.usageMetadata.totalTokenCount, 0);
  return said(answers.map((answer) => answer.text).join("\n"), answers.map((answer) => answer.usageMetadata), total, facts);
}

async function generate() {
  return ofAnswers([await client.models.generateContent({ model: MODEL, contents: PROMPT })]);
}

async function stream() {
  const chunks = await collect(await client.models.generateContentStream({ model: MODEL, contents: PROMPT }));
  const usage = chunks.at(-1).usageMetadata;
  const text = chunks.map((chunk) => chunk.text ?? "").join("");
  return said(text, usage, usage.totalTokenCount, { "it came in pieces": chunks.length > 1 });
}

async function chat() {
  const conversation = client.chats.create({ model: MODEL });
  const first = await conversation.sendMessage({ message: PROMPT });
  return ofAnswers([first, await conversation.sendMessage({ message: SECOND_PROMPT })]);
}

async function express() {
  const open = new GoogleGenAI({ vertexai: true, apiKey: API_KEY, httpOptions: options() });
  return ofAnswers([await open.models.generateContent({ model: MODEL, contents: PROMPT })]);
}

async function credentials() {
  const getRequestHeaders = async () => new Headers({ authorization: "Bearer a-token-of-googles" });
  const own = { ...VERTEX, googleAuthOptions: { authClient: { getRequestHeaders } } };
  const open = new GoogleGenAI({ ...own, httpOptions: options({ "x-goog-api-key": API_KEY }) });
  return ofAnswers([await open.models.generateContent({ model: MODEL, contents: PROMPT })]);
}

async function image() {
  const answer = await client.models.generateContent({ model: IMAGE_MODEL, contents: "Draw the book" });
  const images = answer.candidates[0].content.parts.filter((part) => part.inlineData);
  const facts = { "an image came": images.length === 1 && images[0].inlineData.mimeType === "image/png" };
  return said(null, answer.usageMetadata, answer.usageMetadata.totalTokenCount, facts);
}

async function count() {
  const counted = await client.models.countTokens({ model: MODEL, contents: PROMPT });
  return said(null, counted, null, { "tokens were counted": counted.totalTokens > 0 });
}

async function embed() {
  const answer = await client.models.embedContent({ model: EMBEDDING_MODEL, contents: PROMPT });
  return said(null, null, null, { "an embedding came": answer.embeddings[0].values.length > 100 });
}

async function files() {
  const file = new Blob(["one line for each call\n".repeat(50)], { type: "text/plain" });
  const uploaded = await client.files.upload({ file, config: { displayName: "page", mimeType: "text/plain" } });
  const got = await client.files.get({ name: uploaded.name });
  const listed = (await collect(await client.files.list())).map((entry) => entry.name);
  const part = { fileData: { fileUri: got.uri, mimeType: got.mimeType } };
  const answer = await client.models.generateContent({ model: MODEL, contents: [part, PROMPT] });
  await client.files.delete({ name: uploaded.name });
  const left = await collect(await client.files.list());
  return ofAnswers([answer], {
    "the file is got": got.name === uploaded.name && Number(got.sizeBytes) === 23 * 50,
    "the file is listed, and no other": listed.length === 1 && listed[0] === uploaded.name,
    "the file is gone": left.length === 0,
  });
}

async function caches() {
  const contents = [{ role: "user", parts: [{ text: "one line for each call ".repeat(200) }] }];
  const cache = await client.caches.create({ model: MODEL, config: { contents, ttl: "600s" } });
  const got = await client.caches.get({ name: cache.name });
  const listed = (await collect(await client.caches.list())).map((entry) => entry.name);
  const config = { cachedContent: cache.name };
  const answer = await client.models.generateContent({ model: MODEL, contents: PROMPT, config });
  await client.caches.update({ name: cache.name, config: { ttl: "900s" } });
  await client.caches.delete({ name: cache.name });
  return ofAnswers([answer], {
    "the cache is got": got.name === cache.name,
    "the cache is listed, and no other": listed.length === 1 && listed[0] === cache.name,
    "the cache was read": answer.usageMetadata.cachedContentTokenCount > 0,
  });
}

async function batches() {
  const src = [PROMPT, SECOND_PROMPT].map((text) => ({ contents: [{ role: "user", parts: [{ text }] }] }));
  let job = await client.batches.create({ model: MODEL, src });
  for (let poll = 0; poll < POLLS_MOST && job.state !== JobState.JOB_STATE_SUCCEEDED; poll++) {
    await pause();
    job = await client.batches.get({ name: job.name });
  }
  const again = await client.batches.get({ name: job.name });
  const answers = job.dest.inlinedResponses.map((entry) => entry.response);
  const text = answers.map((answer) => answer.candidates[0].content.parts.map((part) => part.text ?? "").join("")).join("\n");
  return {
    ...ofAnswers(answers, {
      "both requests were answered": answers.length === 2,
      "the answers can be fetched again": again.dest.inlinedResponses.length === 2,
    }),
    text,
  };
}

async function live() {
  const turns = [[]];
  let answered;
  const config = { responseModalities: [Modality.TEXT] };
  const onmessage = (message) => {
    turns.at(-1).push(message);
    if (message.serverContent?.turnComplete) answered();
  };
  const session = await client.live.connect({ model: LIVE_MODEL, config, callbacks: { onmessage } });
  for (const text of [PROMPT, SECOND_PROMPT]) {
    const complete = new Promise((resolve) => { answered = resolve; });
    session.sendClientContent({ turns: [{ role: "user", parts: [{ text }] }], turnComplete: true });
    await complete;
    turns.push([]);
  }
  session.close();
  const usages = turns.flat().map((message) => message.usageMetadata).filter(Boolean);
  const spoken = turns.slice(0, 2).map((turn) => turn.map((message) => message.text ?? "").join(""));
  const total = usages.reduce((sum, usage) => sum + usage.totalTokenCount, 0);
  return said(spoken.join("\n"), usages, total, { "each turn has its usage": usages.length === 2 });
}

function spoken(steps) {
  const outputs = steps.filter((step) => step.type === "model_output");
  return outputs.flatMap((step) => step.content).map((content) => content.text ?? "").join("");
}

async function interactions() {
  const first = await client.interactions.create({ model: MODEL, input: PROMPT });
  const following = { model: MODEL, input: SECOND_PROMPT, previous_interaction_id: first.id };
  const second = await client.interactions.create(following);
  const again = await client.interactions.get(first.id);
  const total = first.usage.total_tokens + second.usage.total_tokens;
  const facts = { "it can be fetched again": again.id === first.id };
  return said(`${spoken(first.steps)}\n${spoken(second.steps)}`, [first.usage, second.usage], total, facts);
}

async function interactionsStream() {
  const events = await collect(await client.interactions.create({ model: MODEL, input: PROMPT, stream: true }));
  const deltas = events.filter((event) => event.event_type === "step.delta");
  const { usage } = events.find((event) => event.event_type === "interaction.completed").interaction;
  return said(deltas.map((event) => event.delta.text ?? "").join(""), usage, usage.total_tokens);
}

await main({
  generate, stream, chat, express, credentials, image, count, embed, files, caches, batches, live, interactions,
  "interactions-stream": interactionsStream,
});
