/** What the page knows about recordings: the ones being uploaded, and the jobs of this browser. */

const STORED = "whisper-sv.jobs";
const MOST = 200;

/** Ids of this browser's jobs, oldest first. */
export function rememberedIds() {
  try {
    return idsIn(localStorage.getItem(STORED));
  } catch {
    return [];
  }
}

/** Call `listener` with the ids that another tab has added or taken off. */
export function onChangeElsewhere(listener) {
  addEventListener("storage", ({ key, oldValue, newValue }) => {
    if (key !== STORED) return;
    const [before, now] = [idsIn(oldValue), idsIn(newValue)];
    listener([...now.filter((id) => !before.includes(id)), ...before.filter((id) => !now.includes(id))]);
  });
}

function idsIn(text) {
  try {
    const ids = JSON.parse(text ?? "[]");
    return Array.isArray(ids) ? ids.filter((id) => typeof id === "string") : [];
  } catch {
    return [];
  }
}

// Read anew for every change: another tab may have written in the meantime.
function addRemembered(id) {
  const ids = rememberedIds();
  if (!ids.includes(id)) remember([...ids, id]);
}

/** Where nothing can be kept, or no more, the list lasts as long as the page. */
function remember(ids) {
  try {
    localStorage.setItem(STORED, JSON.stringify(ids.slice(-MOST)));
  } catch (error) {
    console.warn("The list cannot be kept in this browser:", error.message);
  }
}

/**
 * A record is {id, name, job, segments, upload}: `job` as the API gave it, null while the recording
 * is on its way; `upload` {file, isWaiting, heldUp, progress, error, abort} until then. Only ids are kept in the browser.
 */
class Jobs extends EventTarget {
  #records = new Map();

  /** All records, newest first; what is still on its way comes before. */
  get all() {
    const made = ({ job }) => (job ? Date.parse(job.created_at) : Infinity);
    return [...this.#records.values()].reverse().sort((a, b) => made(b) - made(a) || 0);
  }

  get(id) {
    return this.#records.get(id);
  }

  addUpload(id, file, name, abort) {
    this.#put({ id, name, job: null, segments: [], upload: { file, isWaiting: true, heldUp: null, progress: 0, error: null, abort } });
    this.#tell(id);
  }

  changeUpload(id, change) {
    const record = this.get(id);
    if (record?.upload) {
      Object.assign(record.upload, change);
      this.#tell(id);
    }
  }

  /** Put what the API said about a job in the place of what was known. */
  setJob(job) {
    const record = this.get(job.id);
    if (record) Object.assign(record, { job, name: job.audio?.filename || record.name });
    else this.#put({ id: job.id, name: job.audio?.filename || "Recording", job, segments: [], upload: null });
    this.#tell(job.id);
  }

  /** An upload has become a job. */
  arrived(uploadId, job) {
    const records = [...this.#records.entries()].map(([id, record]) =>
      id === uploadId ? [job.id, { ...record, id: job.id, job, upload: null }] : [id, record]);
    this.#records = new Map(records);
    addRemembered(job.id);
    this.dispatchEvent(new CustomEvent("rename", { detail: { from: uploadId, to: job.id } }));
    this.#tell(job.id);
  }

  remove(id) {
    remember(rememberedIds().filter((known) => known !== id));
    this.hide(id);
  }

  /** Take a record off this page; the browser still knows its id. */
  hide(id) {
    this.#records.delete(id);
    this.dispatchEvent(new CustomEvent("remove", { detail: { id } }));
  }

  /** Tell listeners that a record's segments have changed. */
  touched(id) {
    this.#tell(id);
  }

  #put(record) {
    this.#records.set(record.id, record);
    if (record.job) addRemembered(record.id);
  }

  #tell(id) {
    this.dispatchEvent(new CustomEvent("change", { detail: { id } }));
  }
}

export const jobs = new Jobs();
