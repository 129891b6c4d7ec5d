/** The API key: asked for once, when the service first wants it, and kept for this tab alone. */

const STORED = "whisper-sv.key";
const dialog = document.getElementById("key-dialog");
const input = document.getElementById("key");
const wrong = document.getElementById("key-wrong");
const button = document.getElementById("key-button");

let asking = null;
let isPutOff = false;
let key = recallKey();

export const currentKey = () => key;

/** Whether the answer was "later": then nothing but a person's wish asks again. */
export const isKeyPutOff = () => isPutOff;

/** Where the browser keeps nothing, the key lasts as long as the page. */
function recallKey() {
  try {
    return sessionStorage.getItem(STORED) ?? "";
  } catch {
    return "";
  }
}

function setKey(given) {
  key = given;
  isPutOff = false;
  try {
    sessionStorage.setItem(STORED, key);
  } catch (error) {
    console.warn("The key cannot be kept in this browser:", error.message);
  }
}

export const forgetKey = () => setKey("");

/** The headers that every request carries. */
export function authorization() {
  return key ? { Authorization: `Bearer ${key}` } : {};
}

/** Ask for a key; true once there is a new one, false for "later". Many callers share one question. */
export function askForKey(refused) {
  if (key && key !== refused) return Promise.resolve(true);
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
    dialog.addEventListener("close", () => {
      isPutOff = dialog.returnValue !== "given";
      resolve(!isPutOff);
    }, { once: true });
  });
}

document.getElementById("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const given = input.value.trim();
  // What comes along when text is pasted, such as a dash or an invisible space, fits into no header.
  wrong.hidden = /^[\x20-\xff]*$/.test(given);
  if (!wrong.hidden) return;
  setKey(given);
  dialog.close("given");
});

document.getElementById("key-later").addEventListener("click", () => dialog.close("later"));
