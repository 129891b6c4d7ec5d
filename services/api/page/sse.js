/** Reads server-sent events from a fetch body: EventSource cannot send an API key. */

/** The service says something every 15 s; a connection silent for longer is dead, as after a sleep. */
const SILENCE_MS = 40_000;

/** @returns {AsyncGenerator<{id: string, event: string, data: string}>} */
export async function* messages(body) {
  let message = blank();
  for await (const line of lines(body)) {
    if (line === "") {
      if (message.data.length) yield { ...message, data: message.data.join("\n") };
      message = { ...blank(), id: message.id };
    } else if (!line.startsWith(":")) {
      read(line, message);
    }
  }
}

const blank = () => ({ id: "", event: "message", data: [] });

function read(line, message) {
  const [, field, value] = line.match(/^([^:]*):? ?(.*)$/s);
  if (field === "data") message.data.push(value);
  else if (field === "event" || field === "id") message[field] = value;
}

async function* lines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await inTime(reader.read());
      if (done) return;
      const parts = (rest + value).split(/\r\n|\n|\r(?!$)/);
      rest = parts.pop();
      yield* parts;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** The answer, unless it takes so long that none will come. */
function inTime(answer) {
  let timer;
  const silence = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("The connection is silent.")), SILENCE_MS);
  });
  return Promise.race([answer, silence]).finally(() => clearTimeout(timer));
}
