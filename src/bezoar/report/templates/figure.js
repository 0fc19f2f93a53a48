"use strict";
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const plot = document.querySelector(".plot");
  const themes = read("themes");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const phone = matchMedia("(max-width: 640px)");

  const put = (layout, path, value) => {
    const keys = path.split(".");
    const last = keys.pop();
    let at = layout;
    for (const key of keys) at = at[key] ??= {};
    at[last] = value;
  };

  const draw = () => {
    const { data, layout } = read("figure");
    layout.template = themes[dark.matches ? "dark" : "light"];
    layout.autosize = true;
    if (phone.matches) {
      for (const [path, value] of Object.entries(layout.meta?.narrow ?? {})) put(layout, path, value);
    }
    plot.style.minHeight = `${layout.height}px`;
    Plotly.react(plot, data, layout, { displayModeBar: false, responsive: true });
  };
  dark.addEventListener("change", draw);
  phone.addEventListener("change", draw);
  draw();
})();
