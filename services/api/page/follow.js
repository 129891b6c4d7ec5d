/** Keeps records up to date: the one that is looked at by events, all others by asking now and then. */

import { events, getJson, jobPath } from "./api.js";
import { hasEnded, jobState } from "./format.js";
import { jobs, onChangeElsewhere } from "./jobs.js";
import { currentKey, isKeyPutOff } from "./key.js";
import { announce, showTrouble } from "./say.js";

const POLL_MS = 2000;
// More open recordings than this are asked about less often: some ten requests a second are the most.
const POLL_JOBS = 20;
// HTTP/1.1 gives a page six connections in all: one event stream, and some room for the rest.
const AT_ONCE = 3;

let watched = null;
let hasFailed = false;

/** Follow one job closely, and no other. */
export function watch(id) {
  if (watched?.id === id) return;
  unwatch();
  watched = { id, stop: new AbortController() };
  keepFollowing(id, watched.stop.signal);
}

export function unwatch() {
  watched?.stop.abort();
  watched = null;
}

async function keepFollowing(id, signal) {
  try {
    await follow(id, signal);
    if (!signal.aborted) noteAnswer();
  } catch (error) {
    // Another recording is looked at by now.
    if (signal.aborted) return;
    if (error.isPassing) {
      noteFailure(error);
      setTimeout(() => signal.aborted || keepFollowing(id, signal), POLL_MS);
    } else {
      watched = null;
      if (error.code === "job_not_found") noteMissing(id);
      else showTrouble(error.message);
    }
  }
}

async function follow(id, signal) {
  // A job that failed or was canceled still has the text it came to.
  if (jobs.get(id).job.status !== "succeeded") {
    for await (const { kind, data } of events(id, signal)) {
      if (kind === "failure") noteFailure(data);
      else noteAnswer();
      if (kind === "job") accept(data);
      else if (kind === "segments") addSegments(id, data.segments);
    }
    await untilKeyIsWanted(signal);
    if (signal.aborted) return;
    accept(await getJson(jobPath(id), { signal }));
  }
  if (jobs.get(id)?.job.status === "succeeded") await loadTranscript(id, signal);
}

/** After "later" the end of a job is no reason to ask for the key again. */
async function untilKeyIsWanted(signal) {
  while (isKeyPutOff() && !signal.aborted) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
}

async function loadTranscript(id, signal) {
  const transcript = await getJson(jobPath(id, "transcript?format=verbose_json"), { signal });
  const record = jobs.get(id);
  if (!record) return;
  record.transcript = transcript;
  record.segments = withWords(transcript);
  jobs.touched(id);
}

/** Give each segment its words: the answer lists them apart, in the same order. */
function withWords({ segments = [], words = [] }) {
  const length = (text) => text.replaceAll(/\s/g, "").length;
  let next = 0;
  return segments.map((segment) => {
    const from = next;
    let left = length(segment.text);
    while (left > 0 && next < words.length) left -= length(words[next++].word);
    return { ...segment, words: words.slice(from, next) };
  });
}

function addSegments(id, segments) {
  const record = jobs.get(id);
  const end = record.segments.at(-1)?.start ?? -1;
  // A stream that begins anew sends everything again.
  record.segments = [...record.segments, ...segments.filter((segment) => segment.start > end)];
  jobs.touched(id);
}

/** Take in a job's new state, and say so when it has ended. */
export function accept(job) {
  const before = jobs.get(job.id)?.job;
  jobs.setJob(job);
  if (before && !hasEnded(before) && hasEnded(job)) announce(`${jobs.get(job.id).name}: ${jobState(job)}`);
}

/** Fetch jobs of earlier visits, and list each when it comes; leave out those that the service does not have. */
export const recall = (ids) => inBatches(ids, async (id) => {
  const job = await fetchJob(id);
  if (job) jobs.setJob(job);
});

// Another tab has made or deleted jobs; what cannot be fetched now is put right by a reload.
onChangeElsewhere((ids) => {
  if (!isKeyPutOff()) recall(ids).catch(() => {});
});

/** Ask again and again about jobs that have not ended and are not watched. */
export async function poll() {
  const open = isKeyPutOff() ? [] : jobs.all.filter(({ id, job }) => job && !hasEnded(job) && id !== watched?.id);
  try {
    for (const job of await inBatches(open.map(({ id }) => id), fetchJob)) if (job) accept(job);
    if (open.length) noteAnswer();
  } catch (error) {
    noteFailure(error);
  }
  setTimeout(poll, POLL_MS * Math.max(1, open.length / POLL_JOBS));
}

/** An outage: said until the service answers. */
export function noteFailure(error) {
  hasFailed = true;
  showTrouble(error.message);
}

/** The service answers again. What else is shown, such as why a button did nothing, stays. */
export function noteAnswer() {
  if (hasFailed) showTrouble(null);
  hasFailed = false;
}

/** Another recording is looked at: what was wrong with the one before is of no more interest. */
export function dropComplaint() {
  if (!hasFailed) showTrouble(null);
}

async function fetchJob(id) {
  try {
    return await getJson(jobPath(id));
  } catch (error) {
    if (error.code !== "job_not_found") throw error;
    noteMissing(id);
    return null;
  }
}

/** With keys it may be there for another one that is used in this browser: only without is it gone for ever. */
function noteMissing(id) {
  if (currentKey()) jobs.hide(id);
  else jobs.remove(id);
}

async function inBatches(ids, fetchOne) {
  const results = [];
  for (let i = 0; i < ids.length; i += AT_ONCE) {
    results.push(...(await Promise.all(ids.slice(i, i + AT_ONCE).map(fetchOne))));
  }
  return results;
}

export const cancelJob = async (id) => accept(await getJson(jobPath(id, "cancel"), { method: "POST" }));

export async function deleteJob(id) {
  try {
    await getJson(jobPath(id), { method: "DELETE" });
  } catch (error) {
    // Deleted in another tab, or expired: that it is gone is what was wanted.
    if (error.code !== "job_not_found") throw error;
  }
  jobs.remove(id);
}
