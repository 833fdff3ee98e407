"use strict";
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const touch = matchMedia("(hover: none)").matches;
  const plots = [];
  const PRINTED = { square: 480, flat: 680, lines: 700 }; // pixels of width on a sheet of A4

  const hasWebGL = document.createElement("canvas").getContext("webgl") !== null;
  const needsWebGL = ({ spec }) => spec.data.some((trace) => trace.type === "parcoords");

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  function template(printed) {
    const ink = printed ? "#000" : colour("--ink");
    const line = printed ? "#bbb" : colour("--line");
    const paper = printed ? "#fff" : colour("--paper");
    const axis = { gridcolor: line, linecolor: line, tickcolor: line, zerolinecolor: line };
    return {
      data: { parcoords: [{ labelfont: { color: ink }, tickfont: { color: ink, size: 12 }, rangefont: { size: 1, color: paper } }] },
      layout: {
        font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: ink },
        paper_bgcolor: paper, plot_bgcolor: paper, xaxis: axis, yaxis: axis,
        hoverlabel: { bgcolor: paper, bordercolor: line, font: { color: ink } },
        modebar: { bgcolor: "rgba(0,0,0,0)", color: line, activecolor: ink },
      },
    };
  }

  function draw({ place, spec }, printed) {
    const flat = spec.data[0].type !== "parcoords";
    const kind = place.closest(".square") ? "square" : flat ? "flat" : "lines";
    const room = printed ? { width: PRINTED[kind] } : { autosize: true };
    const layout = { ...structuredClone(spec.layout), ...room, template: template(printed) };
    const settings = {
      responsive: !printed, displaylogo: false, displayModeBar: printed || touch ? false : "hover",
      modeBarButtons: [flat ? ["toImage", "resetScale2d"] : ["toImage"]],
    };
    return Plotly.react(place, structuredClone(spec.data), layout, settings);
  }

  async function drawAll(printed) {
    for (const plot of plots) {
      try {
        if (needsWebGL(plot) && !hasWebGL) throw new Error("the browser has no WebGL");
        await draw(plot, printed);
      } catch (error) {
        plot.place.textContent = `This figure can't be drawn here: ${error.message}. The tables have its figures.`;
        plot.place.style.height = "auto";
      }
    }
    document.documentElement.dataset.drawn = printed ? "print" : dark.matches ? "dark" : "light";
  }

  for (const figure of document.querySelectorAll("figure.chart")) {
    plots.push({ place: figure.querySelector(".plot"), spec: JSON.parse(figure.querySelector(".spec").textContent) });
  }
  drawAll(false);
  dark.addEventListener("change", () => drawAll(false));
  addEventListener("beforeprint", () => drawAll(true));
  addEventListener("afterprint", () => drawAll(false));
})();
