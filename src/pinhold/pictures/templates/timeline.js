"use strict";
(() => {
  const track = document.querySelector("ol.track"), player = document.querySelector(".player");
  if (!track) return;
  const rows = [...track.children], range = player.querySelector("input"), said = player.querySelector("output");
  const number = row => Number(row.id.slice(5));
  const place = step => rows.findIndex(row => number(row) === step) + 1; // a page may show a part of the steps
  let at = 0, now = null;
  player.hidden = false;

  const show = (wanted, jump) => {
    at = Math.max(0, Math.min(rows.length, wanted));
    track.classList.toggle("stepping", at > 0);
    const before = now;
    now = rows[at - 1] || null;
    if (before && before !== now) {
      before.classList.remove("now");
      before.removeAttribute("aria-current");
      if (jump) before.querySelector("details").open = false;
    }
    if (now) {
      now.classList.add("now");
      now.setAttribute("aria-current", "step");
      if (jump) now.querySelector("details").open = true;
    }
    const last = number(rows[rows.length - 1]);
    const words = now ? `step ${number(now)} of ${last}: ${now.dataset.label}` : `all ${rows.length} steps`;
    range.value = at;
    range.setAttribute("aria-valuetext", words);
    said.textContent = words;
    if (!jump) return;
    history.replaceState(null, "", now ? `#${now.id}` : location.pathname + location.search);
    if (now) now.scrollIntoView({ block: "center" });
  };

  const go = {
    first: () => show(1, true),
    back: () => show(Math.max(1, at - 1), true),
    next: () => show(at + 1, true),
    all: () => show(0, true),
    theme: () => {
      const root = document.documentElement, dark = matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = (root.dataset.theme || (dark ? "dark" : "light")) === "dark" ? "light" : "dark";
    },
  };
  player.addEventListener("click", event => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.step) show(place(Number(button.dataset.step)), true);
    else go[button.dataset.go]();
  });
  range.addEventListener("input", () => show(Number(range.value), true));
  document.addEventListener("keydown", event => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.target.closest("input, summary, a, pre, .scroll")) return;
    const key = { ArrowRight: go.next, ArrowLeft: go.back, Escape: go.all }[event.key];
    if (!key) return;
    event.preventDefault();
    key();
  });
  const follow = () => {
    const found = /^#step-(\d+)$/.exec(location.hash);
    show(found ? place(Number(found[1])) : 0, Boolean(found));
  };
  addEventListener("hashchange", follow);
  follow();
})();
