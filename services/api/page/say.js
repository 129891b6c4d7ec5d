/** Tells people who do not see the screen, and people who do, what happened. */

const announcer = document.getElementById("announcer");
const trouble = document.getElementById("trouble");

/** Have a screen reader say a line when it is free. */
export function announce(line) {
  announcer.textContent = line;
}

/** Show a problem at the top of the page until it is over; null takes it away. */
export function showTrouble(message) {
  trouble.hidden = !message;
  trouble.textContent = message ?? "";
}

/** Run what a button does; show its error instead of losing it. */
export async function guarded(action) {
  try {
    await action();
    showTrouble(null);
  } catch (error) {
    if (error.name !== "AbortError") showTrouble(error.message);
  }
}
