// What tests/api/test_openai_node_sdk.py runs: every way of asking, one JSON object on the last line.
// node openai_sdk.mjs BASE_URL RECORDING
import fs from "node:fs";
import OpenAI, { toFile } from "openai";

const [baseURL, recording] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: "any", maxRetries: 1 });
const ask = (more) =>
  client.audio.transcriptions.create({ model: "whisper-1", file: fs.createReadStream(recording), ...more });

const verbose = await ask({ response_format: "verbose_json", timestamp_granularities: ["word", "segment"], temperature: 0 });
const stream = await ask({ stream: true, language: "sv", prompt: "Ett möte." });
const events = [];
for await (const event of stream) events.push(event);
const bytes = await toFile(fs.readFileSync(recording), "från minnet.wav");
const refusal = await ask({ file: await toFile(Buffer.from("no audio"), "a.wav") }).catch((error) => error);
const { data, response } = await ask({ file: bytes }).withResponse();

console.log(JSON.stringify({
  json: (await ask({ languages: ["sv"], keywords: ["Åsa"], include: ["logprobs"], chunking_strategy: "auto" })).text,
  srt: await ask({ response_format: "srt" }),
  verbose: [verbose.language, verbose.text, verbose.words.length > 0, verbose.segments.length > 0],
  deltas: events.filter(({ type }) => type === "transcript.text.delta").map(({ delta }) => delta).join(""),
  last: [events.at(-1).type, events.at(-1).text],
  bytes: data.text,
  job: response.headers.get("x-job-id"),
  refusal: [refusal.constructor.name, refusal.status, refusal.code, refusal.param],
  models: (await client.models.list()).data.map(({ object }) => object),
}));
