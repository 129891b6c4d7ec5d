/** Files on their way in: dropped, picked or recorded; a few at once, none ever lost. */

import { call, newKey, upload } from "./api.js";
import { deleteJob } from "./follow.js";
import { size } from "./format.js";
import { jobs } from "./jobs.js";
import { forget, isKept, leftovers } from "./keep.js";
import { chosenFields } from "./options.js";
import { announce, showTrouble } from "./say.js";

const AT_ONCE = 2;
const MOST_PAUSE_S = 60;
/** How often a recording is sent again that a service which takes others did not take. */
const MOST_REPEATS = 3;
const AWAY_PAUSE_S = 3;
const FULL = "the service takes no more at the moment";
const AWAY = "the service does not answer";
const REPEATED = "it is sent again in a moment";
const UNREADABLE =
  "The browser cannot read it. It is a folder, or it was moved or changed meanwhile: choose the files anew.";
/** So it also looks in Firefox when the service refuses what is too large: its answer is not read. */
const BROKEN = "The connection broke off whenever it was sent: it may be too large for this service, or the network unsteady.";
const STOPPED = "Not sent: it was canceled. The recording is still here.";
/** With these the recording itself is refused, however often it is sent. */
const HOPELESS = ["empty_audio", "unsupported_audio", "audio_too_long", "upload_too_large"];
const waiting = [];
/** The largest recording that the service takes; not known before it answers. */
let mostBytes = Infinity;
let running = 0;
let count = 0;

/** Nothing larger is sent. */
export function setLimit(bytes) {
  mostBytes = bytes;
}

/** Send recordings with the options as they are now; `select` is told the id of the first. */
export function sendAll(files, select) {
  const fields = chosenFields();
  announce(files.length === 1 ? `Sending ${files[0].name}` : `Sending ${files.length} recordings`);
  for (const [i, file] of [...files].entries()) {
    const id = `upload-${++count}`;
    add(id, file, file.name, fields);
    if (i === 0) select(id);
  }
}

/** Try a failed upload once more; returns its id. */
export function sendAgain(id) {
  const { upload: failed, name } = jobs.get(id);
  add(id, failed.file, name, chosenFields());
  return id;
}

/** Stop an upload, or take it from those that wait. What was recorded here exists nowhere else: it is offered. */
export function cancelUpload(id) {
  const { upload: { file, abort }, name } = jobs.get(id);
  if (isKept(file)) {
    abort();
    jobs.changeUpload(id, { error: STOPPED });
  } else removeUpload(id);
  announce(`${name}: Canceled`);
}

/** Nobody wants it any more. */
export function removeUpload(id) {
  const { file, abort } = jobs.get(id).upload;
  abort();
  jobs.remove(id);
  forget(file);
}

/** Offer the recordings that an earlier visit could not send. */
export async function recover() {
  for (const file of await leftovers()) {
    const id = `upload-${++count}`;
    jobs.addUpload(id, file, file.name, () => {});
    jobs.changeUpload(id, { error: "This recording was broken off before it was sent. It is kept in this browser." });
  }
}

/** Listen for files that are picked, or dropped or pasted anywhere on the page. */
export function listen(select) {
  const input = document.getElementById("files");
  document.getElementById("pick").addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    sendAll(input.files, select);
    input.value = "";
  });
  let depth = 0;
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  const mark = (change) => {
    depth = Math.max(0, depth + change);
    document.body.classList.toggle("dropping", depth > 0);
  };
  addEventListener("dragenter", (event) => hasFiles(event) && mark(1));
  addEventListener("dragleave", (event) => hasFiles(event) && mark(-1));
  addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    mark(-depth);
    if (event.dataTransfer.files.length) sendAll(event.dataTransfer.files, select);
  });
  addEventListener("paste", ({ target, clipboardData: { files, types } }) => {
    // Cells and paragraphs bring a picture of themselves along, and go where the caret is.
    const isText = target.matches?.("input, textarea") || types.includes("text/html");
    if (files.length && !isText) sendAll(files, select);
  });
  // Leaving now would lose what is not yet on the server.
  addEventListener("beforeunload", (event) => {
    if (jobs.all.some((record) => record.upload)) event.preventDefault();
  });
}

function add(id, file, name, fields) {
  const stop = new AbortController();
  jobs.addUpload(id, file, name, () => stop.abort());
  if (file.size > mostBytes) {
    fail(id, `The recording is larger than ${size(mostBytes)}, the most that this service takes.`, { isHopeless: true });
    return;
  }
  waiting.push({ id, file, name, fields, key: newKey(), nRepeats: 0, signal: stop.signal });
  next();
}

function next() {
  while (running < AT_ONCE && waiting.length) {
    running += 1;
    send(waiting.shift()).finally(() => {
      running -= 1;
      next();
    });
  }
}

async function send(item) {
  const { id, file, name, fields, key, signal } = item;
  if (signal.aborted) return;
  jobs.changeUpload(id, { isWaiting: false });
  try {
    const onProgress = (progress) => jobs.changeUpload(id, { progress });
    const job = await upload(file, name, fields, { key, onProgress, signal });
    if (signal.aborted) return await withdraw(job);
    jobs.arrived(id, job);
    forget(file);
  } catch (error) {
    await sendLaterOrFail(item, error);
  }
}

/** A restart of the service, or of the network, must cost nobody a click for each of many recordings. */
async function sendLaterOrFail(item, error) {
  const { id, file, signal } = item;
  const isUnreadable = error.status === 0 && !(await canBeRead(file));
  const isAway = !isUnreadable && error.isPassing && !(await takesUploads());
  if (signal.aborted) return;
  if (isUnreadable) fail(id, UNREADABLE, { isHopeless: true });
  else if (error.status === 429) await sendLater(item, FULL, error.retryAfterS);
  else if (isAway) await sendLater(item, error.status === 0 ? AWAY : FULL, AWAY_PAUSE_S);
  else if (error.isPassing && item.nRepeats < MOST_REPEATS) await sendLater(item, REPEATED, 2 ** item.nRepeats++);
  else fail(id, error.status === 0 ? BROKEN : error.message, { isHopeless: HOPELESS.includes(error.code) });
}

/** It keeps its turn. */
async function sendLater(item, heldUp, seconds) {
  jobs.changeUpload(item.id, { isWaiting: true, heldUp, progress: 0 });
  await new Promise((resolve) => {
    setTimeout(resolve, 1000 * Math.min(MOST_PAUSE_S, Math.max(1, seconds)));
    item.signal.addEventListener("abort", resolve, { once: true });
  });
  return send(item);
}

function fail(id, message, { isHopeless }) {
  jobs.changeUpload(id, { error: message, isHopeless });
  announce(`${jobs.get(id).name} could not be sent: ${message}`);
}

/** It was canceled when all of it had been sent. What cannot be deleted is listed. */
async function withdraw(job) {
  try {
    await deleteJob(job.id);
  } catch (error) {
    jobs.setJob(job);
    showTrouble(error.message);
  }
}

/** Whether uploads would work, for all that the service can tell. */
const takesUploads = () => call("readyz").then(() => true, (error) => !error.isPassing);

/** A folder, or a file that was moved or changed, looks to a request like a connection that breaks off. */
async function canBeRead(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}
