/** The options form, shaped by what the served model can do. */

import { languageName } from "./format.js";

// Whisper's languages, for models that know them all.
const WHISPER_LANGUAGES = (
  "af am ar as az ba be bg bn bo br bs ca cs cy da de el en es et eu fa fi fo fr gl gu ha haw he hi hr ht " +
  "hu hy id is it ja jw ka kk km kn ko la lb ln lo lt lv mg mi mk ml mn mr ms mt my ne nl nn no oc pa pl " +
  "ps pt ro ru sa sd si sk sl sn so sq sr su sv sw ta te tg th tk tl tr tt uk ur uz vi yi yo yue zh"
).split(" ");

const form = document.getElementById("options");
const language = document.getElementById("language");

/** Offer the languages and tasks of the model; what was chosen before stays so if there still is such a choice. */
export function offer(model) {
  const codes = model.languages?.length ? model.languages : WHISPER_LANGUAGES;
  const choices = codes.map((code) => new Option(languageName(code), code));
  choices.sort((a, b) => a.text.localeCompare(b.text));
  if (codes.length > 1) choices.unshift(new Option("Detect", ""));
  const chosen = language.value;
  language.replaceChildren(...choices);
  if (codes.includes(chosen)) language.value = chosen;
  const canTranslate = model.tasks?.includes("translate") ?? true;
  for (const part of [form.elements.task, document.getElementById("task-label")]) part.hidden = !canTranslate;
}

/** The form fields of a request, as [name, value] pairs. */
export function chosenFields() {
  const given = new FormData(form);
  const fields = [["language", given.get("language")], ["task", given.get("task")], ["prompt", given.get("prompt")],
    ["keywords", given.get("keywords")]].filter(([, value]) => value?.trim());
  return [...fields, ["timestamp_granularities[]", "segment"],
    ...(given.has("words") ? [["timestamp_granularities[]", "word"]] : [])];
}

/** The same as a JSON body, for a job that is run again. */
export function chosenOptions() {
  const { "timestamp_granularities[]": last, ...rest } = Object.fromEntries(chosenFields());
  return { ...rest, timestamp_granularities: last === "word" ? ["segment", "word"] : ["segment"] };
}
