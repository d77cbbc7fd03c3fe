// The server's public API, as the page uses it.

export const key = {
  get value() { return sessionStorage.getItem("key") ?? ""; },
  set value(text) { sessionStorage.setItem("key", text); },
};

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function checked(response) {
  if (response.ok) return response;
  const fallback = `The server answered ${response.status}.`;
  const told = await response.json().then((problem) => problem.detail ?? fallback, () => fallback);
  throw new Refused(response.status, told);
}

export async function readTasks() {
  return (await (await checked(await fetch("tasks"))).json()).tasks;
}

// `ready`, `starting`, or `gone`.
export const readiness = () => fetch("readyz").then((response) => (response.ok ? "ready" : "starting"), () => "gone");

// The description says of POST /infer whether it wants a key.
export async function wantsKey() {
  const description = await (await checked(await fetch("openapi.json"))).json();
  return Boolean(description.paths["/infer"].post.security);
}

export async function fetchBlob(address) {
  return (await checked(await fetch(address))).blob();
}

// One POST /infer. A task that paints answers with a picture (`blob`) and, where it is known, how far that can be
// trusted (`confidence`, 0 to 1); one that classifies with `classes`, best first. Milliseconds by stage and in all.
export async function infer(fields, signal) {
  const body = new FormData();
  for (const [name, value] of Object.entries(fields)) body.set(name, value);
  const headers = { Accept: "image/*" };
  if (key.value) headers.Authorization = `Bearer ${key.value}`;
  const started = performance.now();
  const response = await checked(await fetch("infer", { method: "POST", body, headers, signal }));
  const answer = await read(response);
  const total = performance.now() - started;
  const named = (response.headers.get("Server-Timing") ?? "").matchAll(/(\w+);dur=([\d.]+)/g);
  const stages = Object.fromEntries([...named].map(([, stage, ms]) => [stage, Number(ms)]));
  return { ...answer, stages, total };
}

async function read(response) {
  if (response.headers.get("Content-Type")?.startsWith("application/json")) {
    return { classes: (await response.json()).outputs[0].classes };
  }
  const told = response.headers.get("X-VTV-Confidence");
  return { blob: await response.blob(), confidence: told === null ? null : Number(told) };
}
