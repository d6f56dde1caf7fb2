// Keeps the status page alive while someone looks at it: by a stream of events, by asking again and again without one.
"use strict";
(() => {
  const now = document.getElementById("now");
  if (!now) return;
  const silent = document.getElementById("silent");
  const every = Number(now.dataset.every);
  let stream = null;
  let polling = null;
  let heard = Date.now();

  // A reader who is choosing, writing, or selecting text in a part of the page is not disturbed there.
  const inUse = (part) =>
    part.contains(document.activeElement) ||
    part.querySelector("input:checked, details[open]") !== null ||
    (String(document.getSelection()) !== "" && document.getSelection().containsNode(part, true));

  const show = (text) => {
    heard = Date.now();
    silent.hidden = true;
    const fresh = document.createElement("template");
    fresh.innerHTML = text;
    const parts = (root) => new Map([...root.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part]));
    const old = parts(now);
    const next = parts(fresh.content);
    if ([...old.keys()].join() !== [...next.keys()].join()) {
      if (![...old.values()].some(inUse)) now.replaceChildren(fresh.content);
      return;
    }
    for (const [name, part] of next) {
      const before = old.get(name);
      if (before.outerHTML === part.outerHTML || inUse(before)) continue;
      const scrolled = [...before.querySelectorAll(".wide")].map((box) => box.scrollLeft);
      before.replaceWith(part);
      part.querySelectorAll(".wide").forEach((box, place) => (box.scrollLeft = scrolled[place] ?? 0));
    }
  };

  const ask = async () => {
    try {
      const answer = await fetch(now.dataset.source, { signal: AbortSignal.timeout(every * 2) });
      if (answer.status === 401) location.reload();
      else if (answer.ok) show(await answer.text());
    } catch {
      // the watch below says so when it lasts
    }
  };

  const listen = () => {
    stream = new EventSource(now.dataset.stream);
    stream.onmessage = (event) => show(event.data);
    stream.onerror = () => {
      // refused: too many streams, or the session is over. A connection that broke is made again by the browser.
      if (stream.readyState === EventSource.CLOSED && polling === null) {
        polling = setInterval(ask, every);
        ask();
      }
    };
  };

  const rest = () => {
    if (stream !== null) stream.close();
    clearInterval(polling);
    stream = polling = null;
  };

  const wake = () => {
    rest();
    heard = Date.now();
    if (!document.hidden) listen();
  };

  setInterval(() => {
    if (!document.hidden && Date.now() - heard > every * 3) silent.hidden = false;
  }, every);
  document.addEventListener("visibilitychange", wake);
  addEventListener("pagehide", rest);
  addEventListener("pageshow", (event) => event.persisted && wake());
  wake();
})();
