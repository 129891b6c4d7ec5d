/** Records from the microphone and hands over a file. */

import { clock } from "./format.js";
import * as keep from "./keep.js";
import { LevelMeter } from "./level.js";
import { announce } from "./say.js";

/** The recording comes in pieces of this length, so that a crash loses no more. */
const TIMESLICE_MS = 250;
const QUIET_S = 3;
/** What is shorter is said again as fast as a question is answered. */
const NO_LOSS_S = 5;
// Firefox records ogg and webm, but cannot seek in its own webm; Chrome records webm, Safari mp4.
const KINDS = [["audio/ogg;codecs=opus", "ogg"], ["audio/webm;codecs=opus", "webm"], ["audio/mp4", "m4a"]];

const $ = (id) => document.getElementById(id);

let session = null;

/** Connect the buttons; `send` is called with the finished file. */
export function listen(send) {
  const reason = whyNot();
  if (reason) {
    $("record").disabled = true;
    hint(reason);
  }
  $("record").addEventListener("click", async () => {
    $("record").disabled = true;
    await begin().catch((error) => {
      hint(explain(error));
      announce(explain(error));
    });
    $("record").disabled = false;
    // What is disabled loses the focus, and the keyboard would start from the top.
    if (!session) $("record").focus();
  });
  $("record-stop").addEventListener("click", async () => {
    const file = await finish();
    if (file) send(file);
  });
  $("record-drop").addEventListener("click", async () => {
    if (!isUnwanted()) return;
    const file = await finish();
    if (file) keep.forget(file);
  });
  addEventListener("beforeunload", (event) => session && event.preventDefault());
  // A page that was hidden has lost its lock.
  document.addEventListener("visibilitychange", () => {
    if (session && !document.hidden) session.awake = keepAwake();
  });
}

function whyNot() {
  if (!isSecureContext) return "Browsers allow recording only over HTTPS or on localhost. Upload a file instead.";
  if (!navigator.mediaDevices?.getUserMedia || !window.MediaRecorder) return "This browser cannot record. Upload a file instead.";
  return null;
}

function hint(line) {
  $("record-hint").textContent = line;
  $("record-hint").hidden = !line;
}

async function begin() {
  hint("");
  const stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, autoGainControl: true } });
  try {
    await record(stream);
  } catch (error) {
    release(stream);
    throw error;
  }
}

async function record(stream) {
  const [mimeType, extension] = KINDS.find(([kind]) => MediaRecorder.isTypeSupported(kind)) ?? ["", "webm"];
  const recorder = new MediaRecorder(stream, mimeType ? { mimeType } : {});
  const pieces = [];
  const name = `Recording ${stamp()}.${extension}`;
  const safe = await keep.begin(name, recorder.mimeType);
  recorder.addEventListener("dataavailable", ({ data }) => {
    if (!data.size) return;
    pieces.push(data);
    safe.add(data);
  });
  // The microphone was unplugged, permission was taken back, or the recorder failed: keep what there is.
  stream.getAudioTracks()[0].addEventListener("ended", () => $("record-stop").click());
  recorder.addEventListener("error", () => $("record-stop").click());
  recorder.start(TIMESLICE_MS);
  const meter = new LevelMeter($("level"), stream);
  show(true);
  session = { stream, recorder, pieces, name, safe, startedAt: Date.now(), meter };
  session.timer = setInterval(tick, 200);
  session.awake = keepAwake();
  $("record-stop").focus();
  announce("Recording");
}

/** Stop the microphone; resolves to what was recorded, null if nothing is being recorded. */
async function finish() {
  if (!session) return null;
  const { stream, recorder, pieces, name, safe, meter, timer, awake } = session;
  session = null;
  clearInterval(timer);
  if (recorder.state !== "inactive") {
    const stopped = new Promise((resolve) => recorder.addEventListener("stop", resolve, { once: true }));
    recorder.stop();
    await stopped;
  }
  meter.stop();
  release(stream);
  (await awake)?.release();
  show(false);
  const file = new File(pieces, name, { type: recorder.mimeType });
  safe.end(file);
  return file;
}

/** What was said exists nowhere else, and on a phone the button is beside the one that sends it. */
function isUnwanted() {
  const seconds = session ? (Date.now() - session.startedAt) / 1000 : 0;
  return seconds < NO_LOSS_S || confirm(`Discard this recording of ${clock(seconds)}?`);
}

function release(stream) {
  for (const track of stream.getTracks()) track.stop();
}

/** The local date and minute, fit for a file name. */
function stamp() {
  const now = new Date();
  const local = new Date(now - now.getTimezoneOffset() * 60000).toISOString();
  return `${local.slice(0, 10)} ${local.slice(11, 16).replace(":", ".")}`;
}

/** A phone that goes to sleep stops recording; resolves to a lock that prevents it, if there is one. */
async function keepAwake() {
  try {
    return await navigator.wakeLock?.request("screen");
  } catch {
    return null;
  }
}

function tick() {
  $("record-clock").textContent = clock((Date.now() - session.startedAt) / 1000);
  const isQuiet = session.meter.silentFor > QUIET_S;
  const line = isQuiet ? "No sound comes from the microphone. Is it muted?" : "Recording";
  if ($("record-state").textContent !== line) $("record-state").textContent = line;
}

function show(isRecording) {
  $("recording").hidden = !isRecording;
  $("choices").hidden = isRecording;
  $("record-clock").textContent = "0:00";
  if (!isRecording) $("record").focus();
}

function explain(error) {
  if (error.name === "NotAllowedError") return "The browser did not allow the microphone. Allow it for this page, or upload a file.";
  if (error.name === "NotFoundError") return "No microphone was found. Connect one, or upload a file.";
  return `The microphone cannot be used: ${error.message}`;
}
