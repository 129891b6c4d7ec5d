/** Numbers and names as people write them. */

/** 65 -> "1:05", 7209 -> "2:00:09". */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds + 1e-6));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (n) => String(n).padStart(2, "0");
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** 4.2 -> "4 s", 200 -> "3 min", for estimates. */
export function roughly(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

/** 2147483648 -> "2 GiB". */
export function size(bytes) {
  const units = ["bytes", "KiB", "MiB", "GiB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  return `${Number((bytes / 1024 ** power).toFixed(1))} ${units[power]}`;
}

const languageNames = new Intl.DisplayNames(["en"], { type: "language" });

/** "sv" -> "Swedish"; an unknown code stays as it is. */
export function languageName(code) {
  try {
    return languageNames.of(code) ?? code;
  } catch {
    return code;
  }
}

/** One line about what a job does now. */
export function jobState(job) {
  const left = job.estimate_s > 0 ? `, about ${roughly(job.estimate_s)} left` : "";
  switch (job.status) {
    case "queued":
      return job.queue_position > 1 ? `Waiting, number ${job.queue_position} in line${left}` : `Waiting for a worker${left}`;
    case "processing":
      return `Transcribing, ${Math.round(100 * job.progress)} %${left}`;
    case "failed":
      return job.error?.message ?? "The transcription failed.";
    case "canceled":
      return "Canceled";
    default:
      return "Done";
  }
}

/** One line about a recording that is not yet on the server. */
export function uploadState({ error, isWaiting, heldUp, progress }) {
  if (error) return error;
  if (isWaiting) return heldUp ? `Waiting: ${heldUp}` : "Waiting to be sent";
  return progress < 1 ? `Sending, ${Math.round(100 * progress)} %` : "The service looks at the recording";
}

export const hasEnded = (job) => ["succeeded", "failed", "canceled"].includes(job.status);
