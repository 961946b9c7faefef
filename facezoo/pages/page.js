"use strict";
// Draws the plots in the page's colours: light, dark, and as paper when it is printed.
(() => {
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const touch = matchMedia("(pointer: coarse)").matches;
  const paperWidth = 680;
  const clear = "rgba(0,0,0,0)";
  // Named one by one, because Plotly's own choice sends the data to its makers.
  const buttons = [["toImage"], ["zoom2d", "pan2d"], ["zoomIn2d", "zoomOut2d", "resetScale2d"]];

  const colours = (onPaper) => {
    const [ink, grid] = dark.matches && !onPaper ? ["#e8eaed", "#3a3e44"] : ["#1a1c1f", "#dfe2e6"];
    const theme = {"font.color": ink, "modebar.color": ink, "modebar.activecolor": "#0072B2"};
    for (const axis of ["xaxis", "yaxis"]) {
      Object.assign(theme, {[`${axis}.gridcolor`]: grid, [`${axis}.zerolinecolor`]: grid,
                            [`${axis}.linecolor`]: ink});
    }
    return theme;
  };
  const repaint = (theme) => {
    for (const key of Object.keys(charts)) Plotly.relayout(key, theme);
  };

  document.documentElement.classList.add("drawn");
  for (const [key, {data, layout}] of Object.entries(charts)) {
    // On a touch screen a finger on a plot must still scroll the page; buttons enlarge.
    Object.assign(layout, {paper_bgcolor: clear, plot_bgcolor: clear, modebar: {bgcolor: clear},
                           dragmode: touch ? false : "zoom"});
    Object.assign(layout.legend, {bgcolor: clear});
    Plotly.newPlot(key, data, layout, {responsive: true, displaylogo: false, displayModeBar: true,
                                       modeBarButtons: buttons});
  }
  repaint(colours(false));
  dark.addEventListener("change", () => repaint(colours(false)));
  addEventListener("beforeprint", () => repaint({...colours(true), width: paperWidth}));
  addEventListener("afterprint", () => repaint({...colours(false), width: null, autosize: true}));
})();
