"use strict";
(() => {
  const form = document.querySelector(".filter"), rows = [...document.querySelectorAll(".list tbody tr")];
  const said = form.querySelector("output"), texts = rows.map(row => row.textContent.toLowerCase());
  form.hidden = false;
  const apply = told => {
    const words = form.q.value.toLowerCase().split(/\s+/).filter(Boolean), kind = form.v.value.replace(/ /g, "-");
    let shown = 0;
    rows.forEach((row, i) => {
      const fits = words.every(word => texts[i].includes(word))
        && (!kind || row.dataset.kinds.split(" ").includes(kind))
        && (!form.d.checked || "differ" in row.dataset);
      row.hidden = !fits;
      shown += fits;
    });
    said.textContent = `${shown} of ${rows.length}`;
    if (!told) return;
    const state = new URLSearchParams();
    if (form.q.value) state.set("q", form.q.value);
    if (form.v.value) state.set("v", form.v.value);
    if (form.d.checked) state.set("d", "1");
    history.replaceState(null, "", String(state) ? `#?${state}` : location.pathname + location.search);
  };
  const read = () => {
    if (!location.hash.startsWith("#?")) return;
    const state = new URLSearchParams(location.hash.slice(2));
    form.q.value = state.get("q") || "";
    form.v.value = state.get("v") || "";
    form.d.checked = state.has("d");
  };
  form.addEventListener("input", () => apply(true));
  form.addEventListener("submit", event => event.preventDefault());
  addEventListener("hashchange", () => { read(); apply(false); });
  read();
  apply(false);
})();
