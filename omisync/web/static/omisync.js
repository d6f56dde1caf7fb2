// Keeps the status page alive: fetches its living part while someone looks at it.
"use strict";
(() => {
  const now = document.getElementById("now");
  if (!now) return;
  const silent = document.getElementById("silent");
  const every = Number(now.dataset.every);

  // A reader who is selecting text or standing on a link in it is not disturbed.
  const inUse = () => now.contains(document.activeElement) || String(document.getSelection()) !== "";

  const look = async () => {
    if (document.hidden || inUse()) return;
    try {
      const answer = await fetch(now.dataset.source, { signal: AbortSignal.timeout(every * 2) });
      if (answer.status === 401) {
        location.reload();
        return;
      }
      if (!answer.ok) throw new Error(String(answer.status));
      now.innerHTML = await answer.text();
      silent.hidden = true;
    } catch {
      silent.hidden = false;
    }
  };

  setInterval(look, every);
  document.addEventListener("visibilitychange", look);
})();
