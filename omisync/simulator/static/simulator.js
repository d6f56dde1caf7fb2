// Buttons and forms of the simulator's page: each is one call of /control/, then the live parts are fetched anew.
"use strict";

const said = document.getElementById("said");

async function control(method, path, body) {
  const answer = await fetch(`/control/${path}`, {
    method,
    headers: { "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  said.textContent = answer.ok ? "" : (await answer.json()).error;
  return answer.ok;
}

async function refresh() {
  const answer = await fetch(location.href);
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of document.querySelectorAll("[data-live]")) {
    if (part.contains(document.activeElement) && document.activeElement.matches("input")) continue;
    const other = fresh.getElementById(part.id);
    if (other) part.replaceWith(document.adoptNode(other));
  }
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-post]");
  if (!button || (button.dataset.sure && !confirm(button.dataset.sure))) return;
  const { post, number, status, event: name, request } = button.dataset;
  const body = {};
  if (number) body.order_number = number;
  if (status) body.status_id = Number(status);
  if (name) body.event = name;
  if (request) body.request_id = request;
  if ((await control("POST", post, body)) && post === "reset") location.reload();
  else refresh();
});

document.getElementById("settings").addEventListener("submit", async (event) => {
  event.preventDefault();
  const fields = event.target.elements;
  await control("PATCH", "config", {
    push: {
      callback_url: fields.callback_url.value || null,
      secret: fields.secret.value,
      authorization: fields.authorization.value,
      categories: [...event.target.querySelectorAll("[name=categories]:checked")].map((box) => box.value),
    },
    life: { automatic: fields.automatic.checked },
    clock_factor: Number(fields.clock_factor.value),
  });
  refresh();
});

document.getElementById("faultform").addEventListener("submit", async (event) => {
  event.preventDefault();
  const changes = {};
  for (const row of document.querySelectorAll("tr[data-kind]")) {
    const inputs = [...row.querySelectorAll("input")];
    if (!inputs.some((input) => input.value !== input.defaultValue)) continue;
    const fault = {};
    for (const { name, value } of inputs) {
      if (name === "rate" || name === "per_minute") fault[name] = Number(value);
      else if (name === "seconds") fault.seconds = [value.split(" ")[0], value.split(" ").at(-1)].map(Number);
      else fault[name] = value;
    }
    if (row.dataset.kind === "stranger") fault.rate = fault.per_minute > 0 ? 1 : 0;
    changes[row.dataset.kind] = fault;
  }
  if (await control("PATCH", "faults", changes)) location.reload();
});

document.getElementById("alloff").addEventListener("click", async () => {
  if (await control("DELETE", "faults")) location.reload();
});

setInterval(() => {
  if (!document.hidden) refresh().catch(() => { said.textContent = "the simulator does not answer"; });
}, 2000);
