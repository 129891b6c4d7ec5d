/** The API key: asked for once, when the service first wants it, and kept for this tab alone. */

const STORED = "whisper-sv.key";
const dialog = document.getElementById("key-dialog");
const input = document.getElementById("key");
const wrong = document.getElementById("key-wrong");
const button = document.getElementById("key-button");

let asking = null;

export const currentKey = () => sessionStorage.getItem(STORED) ?? "";

/** The headers that every request carries. */
export function authorization() {
  const key = currentKey();
  return key ? { Authorization: `Bearer ${key}` } : {};
}

/** Ask for a key; true once there is a new one, false for "later". Many callers share one question. */
export function askForKey(refused) {
  if (currentKey() && currentKey() !== refused) return Promise.resolve(true);
  asking ??= question(Boolean(refused)).finally(() => { asking = null; });
  return asking;
}

function question(wasWrong) {
  wrong.hidden = !wasWrong;
  input.value = "";
  button.hidden = false;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "given"), { once: true });
  });
}

document.getElementById("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(STORED, input.value.trim());
  dialog.close("given");
});

document.getElementById("key-later").addEventListener("click", () => dialog.close("later"));
