// POST {panels: [{scene, dialogue}], aspectRatio, selectedCharacters: [{mimeType, data}]}: draws each panel by one call.

import type { GenerationConfig, InlineDataPart, UsageMetadata } from "@google/generative-ai";

import { meteredModel } from "@/lib/gemini";
import { failed, invalid, notSignedIn, refusal } from "@/lib/refusals";
import { signedInUser } from "@/lib/session";

interface PanelsRequest {
  panels: { scene: string; dialogue: string }[];
  aspectRatio?: string;
  selectedCharacters?: { mimeType: string; data: string }[];
}

interface DrawnPanel {
  mimeType: string;
  data: string;
  usage: UsageMetadata | undefined;
}

const PANELS_MAX = 12;
const ASPECT_RATIOS = ["1:1", "3:4", "4:3", "9:16", "16:9"];
// Room for one picture of 1,290 tokens and a few words: a picture that does not fit its limit does not come at all.
const PANEL_TOKENS_MAX = 2048;

export async function POST(request: Request): Promise<Response> {
  const user = signedInUser(request);
  if (!user) return notSignedIn();
  const wanted: unknown = await request.json().catch(() => null);
  if (!isPanelsRequest(wanted)) return invalid("panels is a list of 1 to 12, each with a scene and a dialogue");
  const { panels, aspectRatio = "1:1", selectedCharacters = [] } = wanted;

  const model = meteredModel(process.env.IMAGE_MODEL ?? "gemini-2.5-flash-image", picture(aspectRatio), {
    user,
    service: "image_generation",
    tags: { requestType: "panel_generation", aspectRatio, hasCharacterReference: selectedCharacters.length > 0 },
  });
  const references: InlineDataPart[] = selectedCharacters.map((inlineData) => ({ inlineData }));
  const drawn: DrawnPanel[] = [];
  try {
    // One after the other: where the balance ends halfway, the panels before are complete.
    for (const panel of panels) {
      const prompt = `Draw this panel of a comic. Scene: ${panel.scene} Speech: ${panel.dialogue}`;
      const { response } = await model.generateContent([prompt, ...references]);
      const image = response.candidates?.[0]?.content?.parts?.find((part) => part.inlineData)?.inlineData;
      if (!image) return failed("no_picture", "A panel could not be drawn.", { panels: drawn });
      drawn.push({ ...image, usage: response.usageMetadata });
    }
    return Response.json({ panels: drawn });
  } catch (error) {
    return refusal(error, { panels: drawn });
  }
}

// The client's types are older than pictures, but it sends what it is given.
function picture(aspectRatio: string): GenerationConfig {
  const config = { responseModalities: ["IMAGE"], imageConfig: { aspectRatio }, maxOutputTokens: PANEL_TOKENS_MAX };
  return config;
}

function isPanelsRequest(given: unknown): given is PanelsRequest {
  const { panels, aspectRatio, selectedCharacters } = (given ?? {}) as Partial<PanelsRequest>;
  if (!Array.isArray(panels) || panels.length < 1 || panels.length > PANELS_MAX) return false;
  if (aspectRatio !== undefined && !ASPECT_RATIOS.includes(aspectRatio)) return false;
  if (selectedCharacters !== undefined && !Array.isArray(selectedCharacters)) return false;
  return panels.every((panel) => typeof panel?.scene === "string" && typeof panel.dialogue === "string");
}
