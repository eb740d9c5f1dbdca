// What the drivers share: where the target is, what is asked, and the one line of JSON that a run ends with.
//
// A driver is run as `node DRIVER.mjs SURFACE`. BASE_URL and API_KEY name the target, USER_HEADER_VALUE and SERVICE go
// into the headers that attribute a call, where they are given. VERTEX_PROJECT and VERTEX_LOCATION are there where the
// client shall speak to Vertex AI.

export const BASE_URL = process.env.BASE_URL.replace(/\/+$/, "");
export const API_KEY = process.env.API_KEY;
export const VERTEX = process.env.VERTEX_PROJECT && {
  vertexai: true, project: process.env.VERTEX_PROJECT, location: process.env.VERTEX_LOCATION,
};
export const HEADERS = {
  ...(process.env.USER_HEADER_VALUE && { "x-jangbu-user": process.env.USER_HEADER_VALUE }),
  ...(process.env.SERVICE && { "x-jangbu-service": process.env.SERVICE }),
};
export const MODEL = "gemini-2.5-flash";
export const EMBEDDING_MODEL = "gemini-embedding-2";
export const IMAGE_MODEL = "gemini-2.5-flash-image";
export const LIVE_MODEL = "gemini-2.0-flash-live-001";
export const PROMPT = "What does the book say?";
export const SECOND_PROMPT = "And what does it say on the next page?";
export const POLLS_MOST = 100;

// What one run found out: the text, the usage as the client shows it, the tokens that this comes to in all (null where
// the client shows none), and statements that have to be true.
export function said(text, usage, total, facts = {}) {
  return { text, usage, total, facts };
}

export function pause() {
  return new Promise((resolve) => setTimeout(resolve, 100));
}

export async function collect(iterable) {
  const items = [];
  for await (const item of iterable) items.push(item);
  return items;
}

export async function main(surfaces) {
  const found = await surfaces[process.argv[2]]();
  process.stdout.write(JSON.stringify(found) + "\n");
}
