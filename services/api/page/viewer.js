/** Shows one record: its state, its player, its transcript, and what can be done with it. */

import { getJson, jobPath } from "./api.js";
import { copy, download } from "./export.js";
import { cancelJob, deleteJob } from "./follow.js";
import { clock, hasEnded, jobState, languageName, roughly, uploadState } from "./format.js";
import { jobs } from "./jobs.js";
import { chosenOptions } from "./options.js";
import { load, playFrom } from "./player.js";
import { guarded } from "./say.js";
import { clear, draw, onSeek } from "./transcript.js";
import { cancelUpload } from "./upload.js";

const $ = (id) => document.getElementById(id);

let shownId = null;
/** What buttons are doing, and to which record. */
const underWay = new Set();

/** Show a record as it is now; null shows the welcome. */
export function show(record) {
  $("empty").hidden = Boolean(record);
  $("view").hidden = !record;
  if (record?.id !== shownId) clear();
  shownId = record?.id ?? null;
  load(record?.job ?? null);
  // It names the panel, also while it cannot be seen.
  $("viewer-title").textContent = record?.name ?? "Transcript";
  if (!record) return;
  $("facts").textContent = record.job ? facts(record) : "";
  showState(record);
  showTools(record);
  // Read aloud with the voice of its own language, and written from its own side.
  $("segments").lang = record.transcript?.language_code ?? "";
  draw(record.segments, { isLive: Boolean(record.job && !hasEnded(record.job)) });
  $("nothing").hidden = !(record.transcript && !record.segments.length);
}

function facts({ job, transcript }) {
  const [startedAt, finishedAt] = [Date.parse(job.started_at), Date.parse(job.finished_at)];
  const isDone = job.status === "succeeded";
  return [
    job.audio.duration ? clock(job.audio.duration) : null,
    transcript?.language_code ? languageName(transcript.language_code) : null,
    job.model,
    isDone && finishedAt > startedAt ? `took ${roughly((finishedAt - startedAt) / 1000)}` : null,
  ].filter(Boolean).join(" · ");
}

function showState({ job, upload }) {
  const failure = upload?.error ?? (job?.status === "failed" ? jobState(job) : null);
  const isUnderWay = !failure && (upload || !hasEnded(job));
  $("state").hidden = job?.status === "succeeded";
  $("state").classList.toggle("bad", Boolean(failure));
  $("state-text").textContent = failure ?? (upload ? uploadState(upload) : jobState(job));
  const bar = $("state-bar");
  bar.hidden = !isUnderWay || Boolean(upload?.isWaiting);
  $("cancel").hidden = !isUnderWay;
  // Without a value the bar shows that something goes on, and not how far.
  if (upload ? upload.progress : job?.progress) bar.value = upload ? upload.progress : job.progress;
  else bar.removeAttribute("value");
}

function showTools({ job, transcript }) {
  const isDone = job?.status === "succeeded";
  $("tools").hidden = !job || !hasEnded(job);
  $("copy").hidden = $("downloads").hidden = !isDone;
  $("copy").disabled = !transcript;
}

/** A button that goes away takes the focus with it, and the keyboard would start from the top. */
function keepFocus(button) {
  if (!button.offsetParent) $("transcript").focus({ preventScroll: true });
}

/** A double click is one click. A button that is disabled meanwhile would lose the focus. */
async function once(deed, act) {
  if (underWay.has(deed)) return;
  underWay.add(deed);
  try {
    await act();
  } finally {
    underWay.delete(deed);
  }
}

/** Connect the buttons; `select` shows another record. */
export function listen(select) {
  onSeek(playFrom);
  const button = (id, action) => $(id).addEventListener("click", () => guarded(async () => {
    await once(`${id} ${shownId}`, () => action(jobs.get(shownId)));
    requestAnimationFrame(() => keepFocus($(id)));
  }));
  button("copy", (record) => copy(record.transcript.text, $("copy")));
  button("cancel", ({ id, upload }) => (upload ? cancelUpload(id) : cancelJob(id)));
  button("retry", async ({ id }) => {
    const body = JSON.stringify(chosenOptions());
    const headers = { "Content-Type": "application/json" };
    const job = await getJson(jobPath(id, "retry"), { method: "POST", body, headers });
    jobs.setJob(job);
    select(job.id);
  });
  button("delete", async ({ id, name }) => {
    if (confirm(`Delete "${name}" with its transcript, here and on the server?`)) await deleteJob(id);
  });
  for (const format of document.querySelectorAll("[data-format]")) {
    format.addEventListener("click", () => guarded(() => download(jobs.get(shownId), format.dataset.format)));
  }
}
