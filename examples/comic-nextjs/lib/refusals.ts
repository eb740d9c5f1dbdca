// What a user is told when a call is not made, or fails.

import { GoogleGenerativeAIError, GoogleGenerativeAIFetchError } from "@google/generative-ai";

// The answer to a call that failed. What was `done` before it is the user's: it was paid for.
export function refusal(error: unknown, done: Record<string, unknown> = {}): Response {
  if (!(error instanceof GoogleGenerativeAIError)) throw error;
  if (error instanceof GoogleGenerativeAIFetchError && error.status === 402) {
    return Response.json({ ...shortBalance(error), ...done }, { status: 402 });
  }
  console.error(error.message);
  return failed("generation_failed", "That did not work. Please try again.", done);
}

// The answer when nothing that can be used came from the model.
export function failed(code: string, message: string, done: Record<string, unknown> = {}): Response {
  return Response.json({ error: code, message, ...done }, { status: 502 });
}

export function invalid(message: string): Response {
  return Response.json({ error: "invalid_request", message }, { status: 400 });
}

export function notSignedIn(): Response {
  return Response.json({ error: "not_signed_in", message: "Please sign in." }, { status: 401 });
}

// The gateway stopped the call before it was made and says why, in Google's error shape; the counts are tokens.
function shortBalance(error: GoogleGenerativeAIFetchError) {
  const facts = error.errorDetails?.find((detail) => detail.reason === "INSUFFICIENT_BALANCE")?.metadata ?? {};
  const needed = Number(facts.needed);
  const available = Number(facts.available);
  const message = `This needs up to ${needed} tokens, and you have ${available}.`;
  return { error: "insufficient_balance", message, needed, available, link: facts.link ?? null };
}
