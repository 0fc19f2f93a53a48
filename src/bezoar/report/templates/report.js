"use strict";
(() => {
  const root = document.documentElement;
  const asked = new URLSearchParams(location.search).get("theme");
  if (asked === "dark" || asked === "light") root.dataset.theme = asked;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const phone = matchMedia("(max-width: 640px)");
  const mode = () => root.dataset.theme || (system.matches ? "dark" : "light");
  const themes = JSON.parse(document.getElementById("themes").textContent);

  const put = (layout, path, value) => {
    const keys = path.split(".");
    const last = keys.pop();
    let at = layout;
    for (const key of keys) at = at[key] ??= {};
    at[last] = value;
  };

  const draw = (plot, theme) => {
    const raw = root.dataset.raw === "on" && plot.parentNode.querySelector("script.raw-figure");
    const source = raw || plot.parentNode.querySelector("script");
    const { data, layout } = JSON.parse(source.textContent);
    layout.template = themes[theme];
    layout.autosize = true;
    if (phone.matches) {
      for (const [path, value] of Object.entries(layout.meta?.narrow ?? {})) put(layout, path, value);
    }
    plot.style.minHeight = `${layout.height}px`;
    return Plotly.react(plot, data, layout, { displayModeBar: false });
  };
  const resized = new ResizeObserver((entries) => {
    for (const { target } of entries) if (target.data) Plotly.Plots.resize(target);
  });
  const drawAll = (theme = mode()) => {
    for (const plot of document.querySelectorAll(".plot")) draw(plot, theme);
  };

  const button = document.getElementById("theme");
  const name = () => { button.textContent = mode() === "dark" ? "Light" : "Dark"; };
  button.addEventListener("click", () => {
    root.dataset.theme = mode() === "dark" ? "light" : "dark";
    name();
    drawAll();
  });
  system.addEventListener("change", () => { name(); drawAll(); });
  phone.addEventListener("change", () => drawAll());

  const reveal = document.getElementById("reveal");
  reveal?.addEventListener("click", () => {
    const on = root.dataset.raw !== "on";
    root.dataset.raw = on ? "on" : "off";
    reveal.setAttribute("aria-pressed", String(on));
    drawAll();
  });

  let shut = [];
  addEventListener("beforeprint", () => {
    shut = [...document.querySelectorAll("details:not([open])")];
    for (const details of shut) details.open = true;
    drawAll("light");
  });
  addEventListener("afterprint", () => {
    for (const details of shut) details.open = false;
    drawAll();
  });

  for (const hidden of document.querySelectorAll("[data-needs-script]")) hidden.hidden = false;
  name();
  drawAll();
  for (const plot of document.querySelectorAll(".plot")) resized.observe(plot);
})();
