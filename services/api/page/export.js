/** Takes a transcript out of the page: to the clipboard, or to a file in any format. */

import { call, jobPath } from "./api.js";
import { announce } from "./say.js";

/** ".wav" or ".mp3"; not what follows the dot of a time or a date. */
const ENDING = /\.(?=\d*[a-z])[a-z\d]{1,5}$/i;
const ENDINGS = { text: "txt", srt: "srt", vtt: "vtt", verbose_json: "json" };

/** Save the transcript as a file named like its recording. */
export async function download({ id, name }, format) {
  const response = await call(jobPath(id, `transcript?format=${format}`));
  saveFile(await response.blob(), `${name.replace(ENDING, "")}.${ENDINGS[format]}`);
}

/** Have the browser save a file. */
export function saveFile(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Copy the text; a short confirmation stands on the button. */
export async function copy(text, button) {
  if (!(await toClipboard(text))) throw new Error("The browser did not allow it to be copied. Download it as txt.");
  announce("Copied");
  const label = button.querySelector("span");
  label.textContent = "Copied";
  setTimeout(() => { label.textContent = "Copy"; }, 1800);
}

/** Resolves to whether the clipboard has it. */
async function toClipboard(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text).then(() => true, () => false);
  // Without HTTPS there is only the old way.
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "unseen";
  document.body.append(area);
  const focused = document.activeElement;
  area.select();
  const isCopied = document.execCommand("copy");
  area.remove();
  focused.focus();
  return isCopied;
}
