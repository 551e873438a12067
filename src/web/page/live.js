// Keeps the page as it is now: replaces the parts that changed, and writes moments in the reader's own time zone.
"use strict";
(() => {
  const body = document.body;
  const lost = document.getElementById("lost");
  const said = document.getElementById("said");

  const day = (at) => at.toLocaleDateString(undefined, { year: "numeric", month: "short", day: "numeric" });
  function moments(root) {
    const today = day(new Date());
    for (const time of root.querySelectorAll("time[datetime*=T]")) {
      const at = new Date(time.getAttribute("datetime"));
      if (Number.isNaN(at.getTime())) continue;
      const seconds = /\d:\d\d:\d\d/.test(time.textContent);
      const clock = at.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", second: seconds ? "2-digit" : undefined });
      time.title = time.getAttribute("datetime");
      time.textContent = day(at) === today || "clock" in time.dataset ? clock : `${day(at)}, ${clock}`;
    }
  }

  function replace(id, html) {
    const part = document.getElementById(id);
    // The page was made by another version, or for other systems.
    if (!part) return location.reload();
    const active = document.activeElement;
    const focused = active && part.contains(active) ? active.id : "";
    // What the reader unfolded stays so.
    const unfolded = [...part.querySelectorAll("details[open][id]")].map((details) => details.id);
    const made = new DOMParser().parseFromString(html, "text/html");
    part.replaceChildren(...made.body.childNodes);
    moments(part);
    for (const details of unfolded) document.getElementById(details)?.setAttribute("open", "");
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    if (id === "head") {
      const sentence = part.querySelector("h1").textContent;
      document.title = `${part.querySelector(".mark").textContent} ScaleIO: ${sentence}`;
      // Numbers that go down are not read aloud each second.
      const gist = (text) => text.replace(/[\d.,]+ ?[KMGTPE]?i?B?/g, "");
      if (gist(said.textContent) !== gist(sentence)) said.textContent = sentence;
    }
  }

  moments(document);
  const where = new URLSearchParams({ since: body.dataset.live });
  if (body.dataset.system) where.set("system", body.dataset.system);
  const source = new EventSource(`live?${where}`);
  source.addEventListener("open", () => { lost.hidden = true; });
  source.addEventListener("part", (event) => { const { id, html } = JSON.parse(event.data); replace(id, html); });
  source.addEventListener("reload", () => location.reload());
  source.addEventListener("error", () => {
    lost.hidden = false;
    // The browser tries again by itself, unless it was refused.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 15000);
  });
})();
