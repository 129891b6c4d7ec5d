/**
 * Keeps a recording in this browser until the service has it: a crash, an empty battery or a
 * closed tab must not lose what was said. Without IndexedDB (private windows) nothing is kept.
 */

const PIECES = "pieces";
/** Which kept recording a file is: its id, and what lets go of it. */
const kept = new WeakMap();

/** Start to keep a recording; resolves to the function that takes its pieces. */
export async function begin(name, type) {
  const id = crypto.randomUUID();
  let n = 0;
  const release = await hold(id);
  return {
    add: (blob) => withStore("readwrite", (store) => store.put({ name, type, blob }, [id, n++])),
    end: (file) => kept.set(file, { id, release }),
  };
}

/** Whether it was recorded here, and exists nowhere else. */
export const isKept = (file) => kept.has(file);

/** Forget a recording: it has arrived, or nobody wants it. */
export async function forget(file) {
  const { id, release } = kept.get(file) ?? {};
  if (!id) return;
  await withStore("readwrite", (store) => store.delete(IDBKeyRange.bound([id], [id, []])));
  release();
}

/** The recordings that an earlier visit could not finish, as files. */
export async function leftovers() {
  const found = new Map();
  await withStore("readonly", (store) => store.openCursor(), (cursor) => {
    const [id] = cursor.key;
    const pieces = found.get(id) ?? [];
    found.set(id, [...pieces, cursor.value]);
  });
  const files = [];
  for (const [id, pieces] of found) {
    const release = await hold(id);
    if (!release) continue;
    const file = new File(pieces.map(({ blob }) => blob), pieces[0].name, { type: pieces[0].type });
    kept.set(file, { id, release });
    files.push(file);
  }
  return files;
}

/**
 * Make a recording this tab's own while it is made, sent and offered: another tab would send it again.
 * @returns what lets go of it; null if another tab has it.
 */
function hold(id) {
  if (!navigator.locks) return () => {};
  return new Promise((resolve) => {
    navigator.locks.request(`whisper-sv.recording.${id}`, { ifAvailable: true }, (lock) => {
      if (!lock) return resolve(null);
      return new Promise((release) => resolve(release));
    });
  });
}

/** Run one request on the store; a browser that keeps nothing is no error. */
async function withStore(mode, act, visit = null) {
  try {
    const base = await open();
    await new Promise((resolve, reject) => {
      const transaction = base.transaction(PIECES, mode);
      transaction.oncomplete = resolve;
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
      const request = act(transaction.objectStore(PIECES));
      if (visit) request.onsuccess = () => request.result && (visit(request.result), request.result.continue());
    });
  } catch (error) {
    console.warn("The recording cannot be kept in this browser:", error?.message);
  }
}

let opening = null;

function open() {
  opening ??= new Promise((resolve, reject) => {
    const request = indexedDB.open("whisper-sv", 1);
    request.onupgradeneeded = () => request.result.createObjectStore(PIECES);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opening;
}
