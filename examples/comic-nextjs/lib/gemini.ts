// Google's own client, pointed at Jangbu: the base URL and the key are all that changes, the headers say who pays.

import { GoogleGenerativeAI, type GenerationConfig, type GenerativeModel } from "@google/generative-ai";

export interface Attribution {
  user: string;
  service: "text_generation" | "image_generation";
  tags: Record<string, string | number | boolean>;
}

// A model whose every call is checked against the user's balance, and deducted from it by what Gemini reports.
export function meteredModel(model: string, generationConfig: GenerationConfig, paidBy: Attribution): GenerativeModel {
  const tags = Object.entries(paidBy.tags).map(([name, value]) => `${name}=${value}`);
  const customHeaders = {
    "x-jangbu-user": headerText(paidBy.user),
    "x-jangbu-service": paidBy.service,
    "x-jangbu-tags": headerText(tags.join(", ")),
  };
  const client = new GoogleGenerativeAI(setting("GEMINI_API_KEY"));
  return client.getGenerativeModel({ model, generationConfig }, { baseUrl: setting("GEMINI_BASE_URL"), customHeaders });
}

// Without its setting a call fails: it must never go to Google past the gateway, where nobody would be charged for it.
function setting(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}

// Headers are ASCII, names of people are not: RFC 8187 writes any text in it, and the gateway reads it.
function headerText(text: string): string {
  return `UTF-8''${encodeURIComponent(text)}`;
}
