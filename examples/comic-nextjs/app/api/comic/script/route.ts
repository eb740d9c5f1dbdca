// POST {storyPrompt, panelCount}: writes the script of a comic. What it cost is deducted by the gateway, not here.

import { SchemaType, type GenerationConfig, type Schema } from "@google/generative-ai";

import { meteredModel } from "@/lib/gemini";
import { failed, invalid, notSignedIn, refusal } from "@/lib/refusals";
import { signedInUser } from "@/lib/session";

interface ScriptRequest {
  storyPrompt: string;
  panelCount: number;
}

const PANELS_MAX = 12;
const STORY_LENGTH_MAX = 4000;
const PANEL: Schema = {
  type: SchemaType.OBJECT,
  properties: { scene: { type: SchemaType.STRING }, dialogue: { type: SchemaType.STRING } },
  required: ["scene", "dialogue"],
};

export async function POST(request: Request): Promise<Response> {
  const user = signedInUser(request);
  if (!user) return notSignedIn();
  const wanted: unknown = await request.json().catch(() => null);
  if (!isScriptRequest(wanted)) return invalid("storyPrompt is a text, panelCount a number from 1 to 12");
  const { storyPrompt, panelCount } = wanted;

  const model = meteredModel(process.env.TEXT_MODEL ?? "gemini-2.5-flash", shape(panelCount), {
    user,
    service: "text_generation",
    tags: { requestType: "script_generation", panelCount, storyLength: storyPrompt.length },
  });
  try {
    const result = await model.generateContent(`Write a comic of ${panelCount} panels about: ${storyPrompt}`);
    const panels = readPanels(result.response.text());
    if (!panels) return failed("no_script", "The script came unfinished. Please try again.");
    return Response.json({ panels, usage: result.response.usageMetadata });
  } catch (error) {
    return refusal(error);
  }
}

// The limit is what the balance must cover for the call to be made, thinking included; what is charged is the answer.
function shape(panelCount: number): GenerationConfig {
  const responseSchema: Schema = { type: SchemaType.ARRAY, items: PANEL, minItems: panelCount, maxItems: panelCount };
  return { responseMimeType: "application/json", responseSchema, maxOutputTokens: 8192 };
}

function isScriptRequest(given: unknown): given is ScriptRequest {
  const { storyPrompt, panelCount } = (given ?? {}) as Partial<ScriptRequest>;
  if (typeof storyPrompt !== "string" || !storyPrompt || storyPrompt.length > STORY_LENGTH_MAX) return false;
  return Number.isInteger(panelCount) && panelCount! >= 1 && panelCount! <= PANELS_MAX;
}

// An answer that ran into its limit is no whole JSON. It was generated, so it was charged.
function readPanels(text: string): unknown[] | null {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
