/** Plays the recording and says which moment is heard. */

import { call, jobPath } from "./api.js";
import { clock } from "./format.js";
import { currentKey } from "./key.js";
import { showTrouble } from "./say.js";
import { follow, highlight } from "./transcript.js";

const $ = (id) => document.getElementById(id);
const [audio, seek, play] = [$("audio"), $("seek"), $("play")];

const AGAIN_MS = 2000;
const UNPLAYABLE = "The browser cannot play it: no sound device is connected, or the recording is damaged.";
const UNSUPPORTED = "This browser cannot play this recording; its transcript does not depend on that.";

/** What an arrow key moves: the slider's own step is too fine for that. */
const STEP_S = 5;
const STEPS = { ArrowLeft: -STEP_S, ArrowDown: -STEP_S, ArrowRight: STEP_S, ArrowUp: STEP_S };

let shown = null;

/** Make the recording of a job ready to play; null takes the player away. */
export async function load(job) {
  const id = job?.id ?? null;
  if (shown === id) return;
  unload();
  shown = id;
  if (!job) return;
  // The header of a browser's own recording does not know its length; the service has measured it.
  setLength(job.audio.duration);
  await fetchRecording(id);
}

async function fetchRecording(id, from = 0) {
  try {
    const source = await address(id);
    if (shown !== id) return;
    audio.src = source;
    audio.currentTime = from;
    $("player").hidden = false;
  } catch (error) {
    if (error.isPassing) await fetchWhenBack(id, from);
  }
}

/** Wait for the service, and go on from the moment that was heard. */
async function fetchWhenBack(id, from) {
  await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  if (shown === id && (await whereabouts(id)) === "away") await fetchWhenBack(id, from);
  else if (shown === id) await fetchRecording(id, from);
}

/** Whether a recording is "there", "gone" for ever, or "away" as nobody answers. */
const whereabouts = (id) =>
  call(jobPath(id, "audio"), { method: "HEAD" }).then(() => "there", (error) => (error.isPassing ? "away" : "gone"));

/** The recording is deleted before its transcript, after a time that the operator sets; or nobody answers. */
async function takeAway() {
  $("player").hidden = true;
  const [id, from, code] = [shown, audio.currentTime, audio.error?.code];
  if (!id) return;
  const found = code === MediaError.MEDIA_ERR_NETWORK ? "away" : await whereabouts(id);
  if (shown !== id) return;
  if (found === "away") await fetchWhenBack(id, from);
  else if (code === MediaError.MEDIA_ERR_DECODE) showTrouble(UNPLAYABLE);
  // So a browser also calls what is gone.
  else if (found === "there") $("unsupported").textContent = UNSUPPORTED;
}

/** Go to a moment and play on from there. */
export function playFrom(seconds) {
  if ($("player").hidden) return;
  goTo(seconds);
  audio.play();
}

function goTo(seconds) {
  follow();
  audio.currentTime = seconds;
}

function unload() {
  audio.pause();
  if (audio.src.startsWith("blob:")) URL.revokeObjectURL(audio.src);
  audio.removeAttribute("src");
  $("player").hidden = true;
  $("unsupported").textContent = "";
  move(0);
  highlight(null);
}

function move(seconds) {
  seek.value = seconds;
  seek.style.setProperty("--done", `${(100 * seek.value) / (seek.max || 1)}%`);
}

/** With a key the audio is fetched whole: an audio element cannot send one. */
async function address(id) {
  const path = jobPath(id, "audio");
  if (!currentKey()) return path;
  return URL.createObjectURL(await (await call(path)).blob());
}

function setLength(seconds) {
  seek.max = seconds;
  $("end").textContent = clock(seconds);
}

function showTime() {
  const now = audio.currentTime;
  move(now);
  seek.setAttribute("aria-valuetext", `${clock(now)} of ${$("end").textContent}`);
  $("now").textContent = clock(now);
  highlight(audio.paused && now === 0 ? null : now);
}

function showState() {
  play.setAttribute("aria-label", audio.paused ? "Play" : "Pause");
  $("play-icon").setAttribute("href", `page/icons.svg#${audio.paused ? "play" : "pause"}`);
  if (!audio.paused) requestAnimationFrame(run);
}

/** Words change faster than the browser reports the time. */
function run() {
  showTime();
  if (!audio.paused) requestAnimationFrame(run);
}

play.addEventListener("click", () => (audio.paused ? audio.play() : audio.pause()));
seek.addEventListener("input", () => goTo(Number(seek.value)));
seek.addEventListener("keydown", (event) => {
  // With these the keys are the browser's own: Alt and Left is the page before.
  if (!STEPS[event.key] || event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  goTo(Math.max(0, audio.currentTime + STEPS[event.key]));
});
$("speed").addEventListener("change", () => { audio.playbackRate = Number($("speed").value); });
audio.addEventListener("play", follow);
for (const event of ["play", "pause", "ended"]) audio.addEventListener(event, showState);
for (const event of ["timeupdate", "seeked"]) audio.addEventListener(event, showTime);
audio.addEventListener("error", takeAway);
audio.addEventListener("loadedmetadata", () => { audio.playbackRate = Number($("speed").value); });
